"""The stored rows of a partition: their bytes, what is cached of them, what is remembered of erasures."""
