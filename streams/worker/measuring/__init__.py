"""What a worker counts for its health: events, rounds, and where its partitions end."""
