"""Health of a sink: what it counts, and how its partitions are judged."""
