"""The stored rows of a partition: their bytes, the cache of decoded pairs, and the rows about erasures."""
