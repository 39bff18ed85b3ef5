"""Can the words be read? Run by `make bench-legibility`."""
