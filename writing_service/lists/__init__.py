"""Lists of words: read from CSV or Anki, drawn into a folder, shown on contact sheets."""
