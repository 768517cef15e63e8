"""What is printed goes through one place, what is logged through another: what could steer a terminal is escaped."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
THE_PLACE = Path("streams/cli/output/console.py")
GENERATOR = Path("streams/configuration/settings_page.py")
"""Prints a page of our own text, for whoever changes a setting."""

SOURCES = [
    file.relative_to(ROOT)
    for package in ("clients", "models", "topics", "streams")
    for file in sorted((ROOT / package).rglob("*.py"))
]
PRINTING = {"click.echo", "click.secho", "click.style", "click.get_binary_stream", "print", "rich.print"}
OUTPUT = Path("streams/cli/output")
"""All that draws."""

OWN_STREAMS = {
    Path("streams/cli/standard_streams.py"): "makes them",
    Path("streams/runtime/standard_error.py"): "has the queue that a worker's log goes through",
    Path("streams/runtime/logs.py"): "writes the log",
    Path("streams/worker/refold/process.py"): "its stdout is a pipe to the worker, and has no text",
}
"""The files that use stdout or stderr themselves, and for what."""

STREAMS = {"sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__"}
CLIENTS = {"AdminClient", "Producer", "Consumer"}


def prints(source: str) -> list[str]:
    """The calls that print, each with its line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            stream, _, method = name.rpartition(".")
            if (name in PRINTING and "stdin" not in ast.unparse(node)) or (stream in STREAMS and method == "write"):
                found.append(f"line {node.lineno}: {name}")
    return found


@pytest.mark.parametrize("file", SOURCES, ids=str)
def test_everything_printed_goes_through_one_place(file):
    """Whatever is quoted: ids, codes, names of a catalogue. What is logged goes through streams.runtime.logs."""
    if file not in {THE_PLACE, GENERATOR}:
        assert prints((ROOT / file).read_text(encoding="utf-8")) == []


def streams_and_drawing(source: str) -> list[str]:
    """Where a source uses a standard stream, or imports what draws, each with its line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in STREAMS:
            found.append(f"line {node.lineno}: {ast.unparse(node)}")
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        if isinstance(node, ast.Import):
            modules = [each.name for each in node.names]
        found += [f"line {node.lineno}: {module}" for module in modules if module.partition(".")[0] == "rich"]
    return found


@pytest.mark.parametrize("file", SOURCES, ids=str)
def test_who_asks_for_a_stream_or_draws_is_in_the_same_folder(file):
    """A command asks ``streams.cli.output`` whether somebody looks on, and gives it what is to be drawn."""
    if OUTPUT not in file.parents:
        found = streams_and_drawing((ROOT / file).read_text(encoding="utf-8"))
        assert bool(found) == (file in OWN_STREAMS), found


@pytest.mark.parametrize("source", ["sys.stdout.isatty()", "import rich.table", "from rich.text import Text"])
def test_a_stream_or_a_drawing_is_found(source):
    """The search itself finds what it is for."""
    assert streams_and_drawing(source)


@pytest.mark.parametrize("source", ["click.echo(x)", "print(x)", "sys.stdout.write(x)", "click.secho(x, bold=True)"])
def test_an_offence_is_found(source):
    """The search itself finds what it is for."""
    assert prints(source)


@pytest.mark.parametrize(
    "source", ["structlog.dev.ConsoleRenderer()", "structlog.processors.JSONRenderer()", "logging.StreamHandler()"]
)
def test_log_lines_are_made_in_one_place(source):
    """The one that escapes them."""
    call = source.removesuffix("()")
    makers = [file for file in SOURCES if call.rpartition(".")[2] in (ROOT / file).read_text(encoding="utf-8")]
    assert makers == [Path("streams/runtime/logs.py")]


@pytest.mark.parametrize("package", ["topics", "streams"])
def test_librdkafka_never_prints_by_itself(package):
    """Each client says where its lines go: into our log, or nowhere."""
    for file in sorted((ROOT / package).rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in CLIENTS:
                # A configuration that is put together above the call is looked for in its function's lines.
                lines = "\n".join(text.splitlines()[max(0, node.lineno - 20) : node.end_lineno])
                assert "log_level" in lines or "logger" in lines, f"{file}:{node.lineno}"
