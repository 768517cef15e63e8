"""The demonstration: a believable day on a real broker, and what became of it."""
