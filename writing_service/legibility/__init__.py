"""How readable a word is in its finished picture, and what is done when it is not. Knows no torch."""
