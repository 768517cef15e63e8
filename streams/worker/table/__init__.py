"""Faust's table, its store in RocksDB and its recovery from the changelog, as this worker needs them.

Each override says what Faust does, why that is not enough, and which test would fail without it.
"""
