"""Environment variables that look like settings and are none: misspelt ones, and others."""

import re
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import Final

__all__ = ["misspelt", "unknown"]

_OURS: Final = "CONSOLIDATOR_"
_PREFIXES: Final = (_OURS, "KAFKA_")

_INJECTED: Final = re.compile(r"_(SERVICE_HOST|SERVICE_PORT|PORT)(_|$)")
"""Variables that Kubernetes sets in every container for a service that is called ``consolidator`` or ``kafka``."""

_OF_TESTS: Final = ("CONSOLIDATOR_FAULT", "CONSOLIDATOR_TEST_")
"""Prefixes of variables for the fault scenarios and for workers that a test changes."""

_CLOSE: Final = 0.8
"""PARTITION and PARTITIONS are 0.95 alike, BROKERS and BOOTSTRAP_SERVERS 0.5."""


def misspelt(names: Iterable[str], known: Collection[str]) -> dict[str, str]:
    """The variables whose names are nearly a setting's, each with the setting's variable."""
    by_rest = {name.split("_", 1)[1]: name for name in known}
    found = {}
    for name in _unknown(names, known):
        near = get_close_matches(name.upper().split("_", 1)[1], by_rest, n=1, cutoff=_CLOSE)
        if near:
            found[name] = by_rest[near[0]]
    return found


def unknown(names: Iterable[str], known: Collection[str]) -> list[str]:
    """The unknown variables with the prefix ``CONSOLIDATOR_``; other tools have variables with ``KAFKA_``, too."""
    return [name for name in _unknown(names, known) if name.upper().startswith(_OURS)]


def _unknown(names: Iterable[str], known: Collection[str]) -> list[str]:
    return [
        name
        for name in sorted(names)
        if name.upper().startswith(_PREFIXES)
        and name.upper() not in known
        and not name.startswith(_OF_TESTS)
        and not _INJECTED.search(name)
    ]
