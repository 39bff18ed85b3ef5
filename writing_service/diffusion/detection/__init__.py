"""Learned conditioning methods: the networks that look at the word."""
