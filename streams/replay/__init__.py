"""Replay: the worker's fold over the log or a file."""
