"""From a meaning and a style to the text that guides the picture."""
