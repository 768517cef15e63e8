"""``consolidator sink status``, ``sink verify`` and ``sink rebuild``."""
