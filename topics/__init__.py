"""The contract with Kafka: declared topics, keys and partitions, bytes to models and back, create and verify."""
