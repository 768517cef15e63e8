"""A consumer that does not close is not waited for without end."""

import threading

from structlog.testing import capture_logs

from topics.cluster.closing import close_consumer


class Stuck:
    """A consumer whose group is in the middle of a rebalance."""

    def __init__(self) -> None:
        self.is_through = threading.Event()

    def close(self) -> None:
        self.is_through.wait()


def test_a_consumer_that_closes_is_waited_for():
    """Nothing is said."""
    ready = Stuck()
    ready.is_through.set()
    with capture_logs() as said:
        assert close_consumer(ready, "group g", limit_s=60)
    assert said == []


def test_a_consumer_that_does_not_close_is_left_behind():
    """A line says which one, and the thread keeps no process from ending."""
    stuck = Stuck()
    with capture_logs() as said:
        assert not close_consumer(stuck, "group g", limit_s=0.01)
    [line] = said
    assert (line["log_level"], line["consumer"]) == ("warning", "group g")
    left = [one for one in threading.enumerate() if one.name == "close group g"]
    assert all(one.daemon for one in left)
    stuck.is_through.set()
    for one in left:
        one.join(60)
