"""What the embedded checkpoint can do, measured: legibility, meaning, style, diversity, control and more."""
