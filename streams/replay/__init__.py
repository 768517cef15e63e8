"""The same fold over the log or a file."""
