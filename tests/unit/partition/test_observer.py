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
    """Hears of events and copies."""

    def __init__(self):
        self.heard = []

    def folded(self, events):
        self.heard += [
            (event.execution_id, position.offset, "copy" if is_copy else len(issues))
            for event, position, issues, is_copy in events
        ]


def test_the_observer_hears_of_a_copy_that_it_is_one():
    """In the same batch or later, also when the pair was read from the disk again; another content is no copy."""
    event = ok("a", 1, {"f": "no number"})
    observer = Told()
    partition = Partition(one_factor("sum"), observer=observer, cached_pairs=0)
    first, copy, other, late = records_of([event, event, event | {"attempt": 2}, event])
    partition.take(first, copy, other)
    partition.take(late)
    issues = observer.heard[0][2]
    assert observer.heard == [("a", 0, issues), ("a", 1, "copy"), ("a", 2, issues), ("a", 3, "copy")]
