"""The machine that draws: what it is, what it holds, how networks are made quick on it."""
