"""Verification, history, comparison and evidence: they only read Kafka, and each answer names its offsets."""
