"""docs/limits.md says of every limit what it is in the code."""

import re
from importlib import import_module
from operator import attrgetter
from pathlib import Path

import pytest

from streams.configuration.settings import Settings, variable_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "limits.md"
UNITS = {"": 1, "KiB": 1024, "MiB": 1024 * 1024}
MODULES_WITH_LIMITS = (
    "streams.worker.transport.pacing",
    "streams.worker.transport.unpacking",
    "streams.worker.in_flight",
    "streams.partition.sizes",
)
"""Of these each number of bytes, records or events has to be on the page."""


def rows():
    """What each row of a table says is the limit, and where that stands."""
    found = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if place := re.fullmatch(r"`((?:setting )?[\w.:]+)`", cells[-1]):
            found.append((place[1], cells[1]))
    return found


def in_the_code(place):
    """A limit, in the unit in which it is counted."""
    if place.startswith("setting "):
        [field] = [name for name in Settings.model_fields if variable_of(name) == place.removeprefix("setting ")]
        return Settings.model_fields[field].default
    module, _, name = place.partition(":")
    value = attrgetter(name)(import_module(module))
    return value * 1024 if name.endswith("_KIB") else value


@pytest.mark.parametrize(("place", "told"), rows())
def test_the_page_tells_the_number_in_the_code(place, told):
    """Nobody has to read the code to know a limit, and nobody can change one without the page."""
    number, unit = re.fullmatch(r"([\d,]+)(?: (KiB|MiB))?", told).groups(default="")
    assert int(number.replace(",", "")) * UNITS[unit] == in_the_code(place)


@pytest.mark.parametrize("module", MODULES_WITH_LIMITS)
def test_every_limit_of_the_budget_is_on_the_page(module):
    """A limit that is added is explained there."""
    on_page = {place for place, _ in rows()}
    limits = {name for name, value in vars(import_module(module)).items() if name.isupper() and type(value) is int}
    counted = {name for name in limits if re.search(r"BYTES|RECORDS|EVENTS|AT_ONCE", name)}
    unexplained = {name for name in counted if f"{module}:{name}" not in on_page}
    assert unexplained <= {"_HEADER_BYTES", "_RECORD_BYTES", "BATCH_BYTES", "HEADER_OBJECT_BYTES"}
