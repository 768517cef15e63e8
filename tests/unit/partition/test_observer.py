"""What an observer of a partition's fold hears of names that the catalogue does not have."""

from streams.partition.observer import Observer
from tests.inputs.cases import ok, one_factor
from tests.oracle.folds import Partition, records_of


def test_the_observer_hears_of_a_processor_without_rules_once_a_pair():
    """With the pair's first event; one that the catalogue has is not mentioned."""
    heard = []

    class Undeclared(Observer):
        def undeclared(self, event, position):
            heard.append((event.processor, position.offset))

    items = [ok("a", 1), ok("b", 2, processor="q"), ok("c", 3, processor="q"), ok("d", 4, processor="r")]
    Partition(one_factor("sum"), observer=Undeclared()).take(*records_of(items))
    assert heard == [("q", 1), ("r", 3)]


class Told(Observer):
    """Hears of events."""

    def __init__(self):
        self.heard = []

    def folded(self, event, position, issues):
        self.heard.append((event.execution_id, position.offset, len(issues)))


class ToldOfCopies(Told):
    """Tells copies from events."""

    def repeated(self, event, position):
        self.heard.append((event.execution_id, position.offset, "copy"))


def test_the_observer_hears_of_a_copy_that_it_is_one():
    """In the same batch or later, also when the pair was read from the disk again; another content is no copy."""
    event = ok("a", 1, {"f": "no number"})
    observer = ToldOfCopies()
    partition = Partition(one_factor("sum"), observer=observer, cached_pairs=0)
    first, copy, other, late = records_of([event, event, event | {"attempt": 2}, event])
    partition.take(first, copy, other)
    partition.take(late)
    issues = observer.heard[0][2]
    assert observer.heard == [("a", 0, issues), ("a", 1, "copy"), ("a", 2, issues), ("a", 3, "copy")]


def test_who_does_not_tell_copies_apart_hears_of_them_as_events():
    """A replay's observers find them by themselves, by event and content; what is wrong with one was said before."""
    observer = Told()
    Partition(one_factor("sum"), observer=observer).take(*records_of([ok("a", 1), ok("a", 1)]))
    assert observer.heard == [("a", 0, 0), ("a", 1, 0)]
