"""Faust's transport, and aiokafka's consumer under it, as this worker needs them.

Each override says what Faust does, why that is not enough, and which test would fail without it.
"""
