"""``docs/glossary.md`` explains every fixed word that a person can meet, and people are led to it."""

import re
from collections.abc import Iterable

import pytest
from click.testing import CliRunner

from models.catalogue import ProcessorType, RerunPolicy
from models.errors import Defect
from models.events import Status
from models.outcomes import Outcome
from models.quality import Issue
from streams.audit.history.timeline import Fate
from streams.audit.verification.findings import Kind
from streams.cli.main import cli
from streams.core.change import ERASED, RULESET
from tests.contracts.test_repository import ROOT
from topics.reading.dead_letter_list import State

PAGE = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
TABLES = {
    "Outcomes": Outcome,
    "Statuses of an event": [status.text for status in Status],
    "Causes of a change": [ERASED, RULESET],
    "Processor types": ProcessorType,
    "What a failed rerun does": RerunPolicy,
    "Quality issues": Issue,
    "Dead-letter reasons": Defect,
    "What became of a dead letter": State,
    "What became of a source record": Fate,
    "What a verification finds": Kind,
}
TERMS = {
    *("row", "pair", "mark", "lane", "round", "share", "judgement", "refold", "adoption", "entry", "binding"),
    *("erasure", "lift", "foreign key", "fold", "fence", "tombstone", "tally", "ruleset", "redrive", "small round"),
}
COMMANDS = ["compare", "dlq", "dlq list", "dlq show", "dlq redrive", "factors", "history", "replay"]
"""Whose output has these words."""

PAGES = ["README.md", "CONTRIBUTING.md", "docs/audit.md", "docs/commands.md", "docs/topics.md", "docs/catalogue.md"]
"""Where a person meets them."""


def words_of(heading: str) -> list[str]:
    """List the first cell of each row of a section's table."""
    section = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert section is not None, heading
    rows = re.findall(r"^\| ([^|]+?) \|", section[1], re.MULTILINE)
    return [row.strip("`") for row in rows[1:]]


@pytest.mark.parametrize(("heading", "words"), TABLES.items())
def test_every_fixed_word_is_explained_once(heading: str, words: Iterable[str]) -> None:
    """A member that is added to an enumeration is explained, and none that is gone stays."""
    assert sorted(words_of(heading)) == sorted(map(str, words))


def test_the_terms_are_explained_in_order() -> None:
    """Whoever looks a term up finds it by the alphabet."""
    terms = words_of("Terms")
    assert set(terms) >= TERMS
    assert terms == sorted(terms)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_leads_to_the_glossary(command: str) -> None:
    """The last line of the help of a command whose output has these words."""
    shown = CliRunner().invoke(cli, [*command.split(), "--help"], prog_name="consolidator").output
    assert shown.rstrip().splitlines()[-1].strip() == "Words: docs/glossary.md"


@pytest.mark.parametrize("page", PAGES)
def test_the_pages_lead_to_the_glossary(page: str) -> None:
    """A link, where the words are used."""
    assert re.search(r"\]\((?:docs/)?glossary\.md", (ROOT / page).read_text(encoding="utf-8"))
