"""From text to strokes: scripts, fonts, glyphs."""
