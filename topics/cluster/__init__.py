"""Access to a Kafka cluster: connection, permissions, and requests."""
