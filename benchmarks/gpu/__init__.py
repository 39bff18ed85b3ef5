"""The full pipeline on a GPU, measured. Read `__main__.py` first."""
