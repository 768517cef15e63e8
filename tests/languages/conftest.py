"""The examples, each built once for all processes of a test run."""

import os
from collections.abc import Callable

import pytest

from tests.languages.programs import LANGUAGES, Program


@pytest.fixture(scope="session")
def program_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Program]:
    """Build an example, or give the one that is built."""
    run = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        run = run.parent
    languages = {one.name: one for one in LANGUAGES}
    return lambda name: languages[name].built(run / f"example-{name}")


@pytest.fixture
def program(language: str, program_of: Callable[[str], Program]) -> Program:
    """The example in the test's language."""
    return program_of(language)
