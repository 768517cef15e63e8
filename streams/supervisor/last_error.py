"""Why a command ended, by its log: the words of its last error, and nothing of its other lines, which have ids."""

import json
from pathlib import Path
from typing import Any, Final

__all__ = ["last_error"]

_READ_BYTES: Final = 64 * 1024
_MOST_CHARACTERS: Final = 2_000

_PLAIN: Final = "error: "
"""A command that ends before it logs prints its error after that."""


def last_error(log_file: Path) -> str:
    """What happened and why, by the log's last line of the level critical, or else error; empty: it has none.

    Args:
        log_file: with one JSON object a line; other lines do no harm.
    """
    try:
        with log_file.open("rb") as file:
            file.seek(max(0, log_file.stat().st_size - _READ_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    found = {level: words for level, words in map(_read, lines) if words}
    return (found.get("critical") or found.get("error") or "")[:_MOST_CHARACTERS]


def _read(line: str) -> tuple[str, str]:
    """The level of a line, and its words."""
    if line.startswith(_PLAIN):
        return "critical", line.removeprefix(_PLAIN)
    try:
        members: Any = json.loads(line)
    except ValueError:
        return "", ""
    if not isinstance(members, dict):
        return "", ""
    words = [str(members[name]) for name in ("event", "error") if members.get(name)]
    return str(members.get("level")), ": ".join(words)
