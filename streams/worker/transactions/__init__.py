"""Kafka transactions: outputs, state and source offsets take effect together or not at all."""
