"""What a pipeline consists of: which files, where they lie, whether they are whole, how they are read."""
