"""A Kafka cluster: how it is reached, what it permits, what it is asked."""
