"""The Python that the pages show runs as it stands there."""

import re
import subprocess
import sys

import pytest

from tests.inputs.repository import ROOT, committed_files

LIMIT_S = 120
CALL_TESTS = "\nfor name, test in list(globals().items()):\n    if name.startswith('test_'):\n        test()\n"

EXAMPLE = re.compile(r"^```python\n((?:from|import) .*?)^```$", re.MULTILINE | re.DOTALL)
"""Whole ones, which begin with what they import; others are excerpts."""
EXAMPLES = [
    (file.as_posix(), number, code)
    for file in committed_files()
    if file.suffix == ".md"
    for number, code in enumerate(EXAMPLE.findall((ROOT / file).read_text(encoding="utf-8")))
]


def test_the_search_finds_the_examples():
    """A page whose examples are no longer found must not pass."""
    assert {page for page, _, _ in EXAMPLES} >= {"clients/python/README.md", "docs/catalogue.md", "docs/client.md"}


@pytest.mark.parametrize(
    ("page", "code"), [pytest.param(page, code, id=f"{page} {number}") for page, number, code in EXAMPLES]
)
def test_an_example_runs(page, code):
    """In a process of its own, its tests called; it needs no broker."""
    path = f"import sys; sys.path[:0] = {[str(ROOT), str(ROOT / 'clients' / 'python')]}\n"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", path + code + CALL_TESTS],
        check=False,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, f"{page}: {done.stderr}"
