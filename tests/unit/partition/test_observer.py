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
