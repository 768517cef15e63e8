"""``docs/the-way-of-an-event.md`` names modules and tests that are there, and the floors of the import contracts."""

import re
import tomllib

from tests.contracts.test_repository import ROOT

PAGE = (ROOT / "docs" / "the-way-of-an-event.md").read_text(encoding="utf-8")
LEAST_PATHS = 60
"""The page names more today: a page whose paths are no longer found must not pass."""


def paths() -> list[str]:
    """List everything on the page that is written as a path of the repository."""
    return re.findall(r"`((?:models|topics|streams|clients|tests|docs)/[\w./-]+)`", PAGE)


def identifiers() -> list[tuple[str, str]]:
    """List the identifiers that the page names together with their file: ``PATH (`NAME` …)`` or ``NAME in PATH``."""
    path = r"`((?:models|topics|streams|clients)/[\w/]+\.py)`"
    behind = re.findall(path + r" \(`(\w+)`", PAGE)
    before = [(file, name) for name, file in re.findall(r"`(\w+)` in\s+" + path, PAGE)]
    return [*behind, *before]


def test_every_path_on_the_page_is_there() -> None:
    """A newcomer finds each module and each test under the name that the page gives."""
    assert len(paths()) >= LEAST_PATHS
    assert [path for path in paths() if not (ROOT / path).exists()] == []


def test_every_identifier_is_in_its_file() -> None:
    """What the page says is in a file can be found there."""
    assert identifiers()
    assert [
        (path, name)
        for path, name in identifiers()
        if not re.search(rf"\b{name}\b", (ROOT / path).read_text(encoding="utf-8"))
    ] == []


def test_the_picture_has_the_floors_that_are_held() -> None:
    """The floors stand in the picture in the order of the import contracts."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = {contract["name"]: contract.get("layers") for contract in contracts}
    picture = PAGE.split("```")[1]
    shown = re.findall(r"^(?: \w+/ +| {14})(\w+(?: \| \w+)*)", picture, re.MULTILINE)
    streams, topics = layers["The floors of streams"], layers["The floors of topics"]
    # The two packages that have no floors come last.
    assert shown[:-2] == [*streams, *topics]
    packages = re.findall(r"^ (\w+)/ ", picture, re.MULTILINE)
    assert packages == layers["Imports go one way: streams, topics, models, and the client"]
