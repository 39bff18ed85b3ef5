"""The checkpoint that ships with the service; README.md beside this says what it is and whence."""
