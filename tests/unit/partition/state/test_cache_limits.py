"""Partitions share the memory of their worker."""

from streams.partition.state.cache_limits import WORKER_CACHE, CacheLimits


def test_partitions_share_what_a_worker_keeps():
    """However many there are, they have no more together than one alone; none is no division by zero."""
    assert CacheLimits(10, 100).shared_among(4) == CacheLimits(2, 25)
    assert CacheLimits(10, 100).shared_among(0) == CacheLimits(10, 100)
    for partitions in (1, 7, 64):
        part = WORKER_CACHE.shared_among(partitions)
        assert part.pairs * partitions <= WORKER_CACHE.pairs
        assert part.weight * partitions <= WORKER_CACHE.weight
