"""The lines of ``consolidator history``."""

from streams.audit.history.timeline import Entry, Fate
from streams.cli.output.timeline import entry_lines
from streams.core.rules import Rules
from streams.rulesets.catalogue_file import catalogue_json
from streams.rulesets.rule_book import RuleBook
from tests.oracle.folds import catalogue_of
from topics.records.adoptions import Adoption, KnownRulesets
from topics.records.erasure_authority import EveryErasure
from topics.records.erasures import Erasure
from topics.records.record import Record

OLD = catalogue_of({"processors": {}})
NEW = catalogue_of({"version": "2", "processors": {}})


def book():
    kept = {one.digest: catalogue_json(one).encode() for one in (OLD, NEW)}
    return RuleBook(
        Rules(OLD), lambda: KnownRulesets(kept, {0: (Adoption(0, 7, OLD.digest, NEW.digest),)}), EveryErasure()
    )


def line(key, value, fate, event_id=""):
    record = Record("executions", 0, 7, 0, key, value, ())
    (found,) = entry_lines(Entry(record, fate, event_id, None, "", ()), book())
    return found


def test_an_adoption_names_its_ruleset():
    """A record without an event has no place for one in its line."""
    assert line(b"/ruleset/x", b"{}", Fate.RULESET).endswith(" ruleset test/2 was adopted")


def test_an_erasure_says_which_way_it_went():
    """In force, or lifted."""
    for lifted, words in ((False, "the application was erased"), (True, "the application's erasure was lifted")):
        erasure = Erasure(b"s" * 16, b"h" * 32, lifted)
        assert line(erasure.key, erasure.value, Fate.ERASURE).endswith(f" {words}")


def test_a_tombstone_names_its_event():
    """Where the key has one."""
    assert line(b"app/e1", None, Fate.TOMBSTONE, "e1").endswith(" tombstone, event e1")
