"""Bytes to values and back. No Kafka client."""
