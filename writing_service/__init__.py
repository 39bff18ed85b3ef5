"""Writing Service: a word in any script becomes a picture whose strokes are the word."""

__version__ = "0.1.0"
