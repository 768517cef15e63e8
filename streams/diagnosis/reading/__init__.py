"""Asks Kafka, the database, a health address and this machine; gives values, and judges nothing."""
