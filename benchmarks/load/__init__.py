"""Whether the service stays up: made-up requests of every kind, and more requests than it can draw."""
