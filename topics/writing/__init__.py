"""Writing records outside of the worker's transactions."""
