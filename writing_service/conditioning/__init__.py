"""Four kinds of control image, each by several methods, drawn concurrently."""
