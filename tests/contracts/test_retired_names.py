"""Nobody is sent to a module or an identifier that is no longer there: ``retired_names.txt`` lists what each became."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.contracts.test_repository import ROOT, committed_files
from topics.contract.declared import Topics

LIST = Path(__file__).with_name("retired_names.txt")
EXCEPTED = {"CHANGELOG.md", "tests/contracts/retired_names.txt"}
HISTORY = "formerly"
"""A line of a decision record that has this word may name what is retired."""


def entries(kind: str) -> Mapping[str, str]:
    """Map each retired path, or each retired name, to what it became."""
    lines = LIST.read_text(encoding="utf-8").splitlines()
    parts = [line.split(maxsplit=2) for line in lines if line.startswith(f"{kind} ")]
    return {old: new for _, old, new in parts}


def texts() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each committed file that may name no retired thing."""
    for file in committed_files():
        if file.as_posix() not in EXCEPTED:
            content = (ROOT / file).read_bytes()
            if b"\0" not in content:
                yield file.as_posix(), content.decode("utf-8", "replace")


def dotted(path: str) -> str | None:
    """The module of a retired path; None: the name means something else today, a package or a topic."""
    module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    is_topic = module.startswith("topics.") and hasattr(Topics, module.removeprefix("topics."))
    is_package = (ROOT / module.replace(".", "/")).is_dir()
    return None if not path.endswith(".py") or is_topic or is_package else module


def mentions(patterns: list[str]) -> list[str]:
    """Find the places that name any of the patterns, each as a whole word or path."""
    found = re.compile(r"(?<![\w/.])(?:" + "|".join(sorted(map(re.escape, patterns), reverse=True)) + r")(?![\w/])")
    return [
        f"{name}:{number}: {match[0]}"
        for name, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        for match in found.finditer(line)
        if not (name.startswith("docs/decisions/") and HISTORY in line)
    ]


def test_every_retired_path_is_gone_and_what_it_became_is_there() -> None:
    """The list is true: nothing in it is alive, and every successor is."""
    paths, names = entries("path"), entries("name")
    assert [old for old in paths if (ROOT / old).exists()] == []
    assert [new for new in paths.values() if not (ROOT / new).is_file()] == []
    for new in names.values():
        file, _, identifier = new.partition(": ")
        text = (ROOT / file).read_text(encoding="utf-8")
        assert identifier == "the folder" or re.search(rf"\b{identifier}\b", text), new


def test_no_text_names_a_retired_path_or_module() -> None:
    """Comments, docstrings, docs and tests lead to files that are there."""
    paths = entries("path")
    assert mentions([*paths, *(module for path in paths if (module := dotted(path)) is not None)]) == []


def test_no_text_names_a_retired_identifier() -> None:
    """Whoever reads an identifier finds it in the code."""
    assert mentions(list(entries("name"))) == []


def test_no_text_names_the_bare_file_of_a_retired_path() -> None:
    """A file that is named without its folder is there as well."""
    today = {file.name for file in committed_files()}
    bare = {Path(path).name for path in entries("path")} - today
    assert mentions(sorted(bare)) == []
