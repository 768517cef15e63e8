"""Since when an open transaction has held the readers of a topic up."""

from streams.worker.measuring.offsets import Pins


def test_the_same_stable_offset_below_the_high_watermark_is_one_transaction():
    """Its age is how long that has been seen; of several partitions the oldest counts, each topic for itself."""
    pins = Pins()
    pins.seen("executions", {0: 5, 1: 9}, {0: 7, 1: 9}, 100.0)
    assert pins.oldest_s("executions") == 0
    pins.seen("executions", {0: 5, 1: 9}, {0: 8, 1: 10}, 105.0)
    assert pins.oldest_s("executions") == 7
    assert pins.oldest_s("factors") == 0


def test_a_transaction_that_ends_is_another_one_afterwards():
    """Under load there is always one open, and none of them is old."""
    pins = Pins()
    for number in range(10):
        pins.seen("factors", {0: number}, {0: number + 3}, float(5 * number))
        assert pins.oldest_s("factors") == 0
    pins.seen("factors", {0: 30}, {0: 30}, 60.0)
    assert pins.oldest_s("factors") == 0


def test_a_partition_that_is_gone_pins_nothing():
    """Its new owner looks at it."""
    pins = Pins()
    pins.seen("executions", {0: 5}, {0: 7}, 100.0)
    pins.seen("executions", {1: 5}, {1: 5}, 105.0)
    assert pins.oldest_s("executions") == 0
