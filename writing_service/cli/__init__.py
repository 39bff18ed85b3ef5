"""The command line, a file for each group of commands.

What is heavy is imported by the command that needs it, so that a mistyped key is told at once.
"""
