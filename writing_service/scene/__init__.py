"""What the picture is composed of: the word in front, its pictogram behind."""
