"""The contract as values: declared topics, keys and partitions, permissions, drift, schemas."""
