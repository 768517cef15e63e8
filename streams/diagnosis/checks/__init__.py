"""Judges what was read: pure functions of values, which ask nothing."""
