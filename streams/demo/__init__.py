"""The demonstration: a realistic day on a real broker, and its results."""
