"""The examples, each built once a session."""

from collections.abc import Callable

import pytest

from tests.languages.programs import LANGUAGES, Program


@pytest.fixture(scope="session")
def program_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Program]:
    """Build an example, or give the one that is built."""
    built: dict[str, Program] = {}

    def program(name: str) -> Program:
        if name not in built:
            [language] = (one for one in LANGUAGES if one.name == name)
            built[name] = language.built(tmp_path_factory.mktemp(name))
        return built[name]

    return program


@pytest.fixture
def program(language: str, program_of: Callable[[str], Program]) -> Program:
    """The example in the test's language."""
    return program_of(language)
