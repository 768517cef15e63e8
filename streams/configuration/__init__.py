"""Settings, and what they say about Kafka and the topics."""
