"""Transactions of small rounds, in Kafka's newer protocol of transactions: docs/decisions/0017."""
