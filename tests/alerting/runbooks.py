"""The runbooks in ``docs/runbooks/``, and the commands in them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tests.inputs.repository import ROOT

__all__ = ["PLACEHOLDERS", "RUNBOOKS", "Command", "commands", "metrics_in", "sections"]

RUNBOOKS: Final = sorted((ROOT / "docs" / "runbooks").glob("*.md"))

PLACEHOLDERS: Final = ("APPLICATION", "PARTITION:OFFSET", "PARTITION:COMMITTED", "INSTANCE")
"""What a person puts values in for: an application id, the place of a dead letter, the partition and offset at which a
worker stands, and a health address."""

_BLOCK: Final = re.compile(r"^( *)```sh\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_COMMAND: Final = re.compile(r"(?P<text>.*?)\s+# exits with (?P<exits>\d+(?:(?:, | or )\d+)*)(?:: .*)?$")
_METRIC: Final = re.compile(r"\bconsolidator_[a-z_]+\b")
_SECTION: Final = re.compile(r"^## (.+)$", re.MULTILINE)


class Command(NamedTuple):
    """A command in a runbook.

    Attributes:
        page: the runbook's name.
        text: for a shell, with placeholders.
        exits: the exit codes that the page gives.
    """

    page: str
    text: str
    exits: frozenset[int]

    def filled(self, values: dict[str, str]) -> str:
        """The command with values for its placeholders, the longest first."""
        text = self.text
        for name in sorted(PLACEHOLDERS, key=len, reverse=True):
            text = re.sub(rf"\b{re.escape(name)}\b", lambda _, name=name: values[name], text)
        return text


def commands(pages: list[Path] = RUNBOOKS) -> Iterator[Command]:
    """Every command in the ``sh`` blocks of pages: one a line, with the exit codes behind it.

    Raises:
        ValueError: a line has no exit codes.
    """
    for page in pages:
        for _, block in _BLOCK.findall(page.read_text(encoding="utf-8")):
            for line in filter(None, map(str.strip, block.splitlines())):
                found = _COMMAND.fullmatch(line)
                if found is None:
                    raise ValueError(f"{page.name}: {line!r} does not say what it exits with")
                yield Command(page.stem, found["text"], frozenset(map(int, re.findall(r"\d+", found["exits"]))))


def sections(page: Path) -> list[str]:
    """The headings of a page's sections."""
    return _SECTION.findall(page.read_text(encoding="utf-8"))


def metrics_in(page: Path) -> set[str]:
    """The metrics that a page names, without the file of rules and the like."""
    return set(_METRIC.findall(page.read_text(encoding="utf-8")))
