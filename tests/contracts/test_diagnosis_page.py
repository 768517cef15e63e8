"""``docs/commands.md`` explains every state of a partition and every check of the doctor, and no other."""

import re

from streams.diagnosis.checks.partitions import STATES
from streams.diagnosis.doctor import judge
from streams.diagnosis.reading.answer import Unanswered
from streams.diagnosis.status import Database
from tests.contracts.test_repository import ROOT
from tests.inputs.diagnosed import facts_of

PAGE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")


def words_below(heading: str) -> list[str]:
    """The first cells of the table with a heading."""
    table = re.search(rf"^\| {heading} \|.*\n\|.*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert table is not None, heading
    return re.findall(r"^\| `([^`]+)` \|", table[1], re.MULTILINE)


def test_every_state_of_a_partition_is_explained() -> None:
    """A word that is added is explained, and none that is gone stays."""
    assert sorted(words_below("state of a partition")) == sorted(STATES)


def test_every_check_is_explained_in_its_order() -> None:
    """As the doctor goes through them, with a database and a health address."""
    everything = {"database": Database("sqlite:///x", Unanswered("away")), "health": {"h:1": Unanswered("away")}}
    assert words_below("check") == [check.name for check in judge(facts_of(status=everything))]
