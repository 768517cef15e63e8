"""Everything that touches Faust's and aiokafka's internals, and nothing else does.

Each override says what Faust does, why that is not enough, and which test would fail without it.
"""
