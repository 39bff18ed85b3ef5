"""The web page at /studio."""
