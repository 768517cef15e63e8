"""What our own source never does: run code that came as data."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SOURCES = sorted(
    file for package in ("clients", "models", "topics", "streams") for file in (ROOT / package).rglob("*.py")
)
FORBIDDEN_MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "jsonpickle", "marshal", "shelve", "joblib"}
FORBIDDEN_CALLS = {"eval", "exec", "yaml.load", "yaml.unsafe_load", "yaml.full_load"}


def offences(source: str) -> list[str]:
    """The forbidden modules and calls in a source, each with its line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names = set()
        if isinstance(node, ast.Import):
            names = {alias.name.partition(".")[0] for alias in node.names} & FORBIDDEN_MODULES
        elif isinstance(node, ast.ImportFrom):
            names = {(node.module or "").partition(".")[0]} & FORBIDDEN_MODULES
        elif isinstance(node, ast.Call):
            names = {ast.unparse(node.func)} & FORBIDDEN_CALLS
        elif isinstance(node, ast.Constant) and node.value in {"pickle", "json+pickle"}:
            names = {"a pickle codec"}
        found += [f"line {node.lineno}: {name}" for name in names]
    return found


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_nothing_that_runs_data_as_code(file):
    """No pickle or its kin, no unsafe YAML, no ``eval``."""
    assert offences(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source", ["import pickle", "from pickle import loads", "import yaml\nyaml.load(x)", "eval(x)", "t(codec='pickle')"]
)
def test_an_offence_is_found(source):
    """The search itself finds what it is for."""
    assert offences(source)
