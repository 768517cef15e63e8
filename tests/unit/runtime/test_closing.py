"""What opens several things closes them together, also where it could not open all of them."""

from contextlib import contextmanager

import pytest

from streams.runtime.closing import Closing


class Opened(Closing):
    """Opens two things; the second one may fail."""

    def __init__(self, closed, *, fails):
        super().__init__()
        with self._opening() as stack:
            stack.enter_context(self._one(closed, "first"))
            if fails:
                raise OSError
            stack.enter_context(self._one(closed, "second"))

    @staticmethod
    @contextmanager
    def _one(closed, name):
        yield
        closed.append(name)


def test_the_last_thing_is_closed_first():
    """At the end of the context, and not before."""
    closed = []
    with Opened(closed, fails=False) as opened:
        assert isinstance(opened, Opened)
        assert closed == []
    assert closed == ["second", "first"]


def test_what_is_open_is_closed_where_the_rest_fails():
    """Nobody has the object then, and nobody could close it."""
    closed = []
    with pytest.raises(OSError):  # noqa: PT011 - it has no text
        Opened(closed, fails=True)
    assert closed == ["first"]
