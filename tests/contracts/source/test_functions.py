"""How long functions are: each fits on a screen."""

import ast
import io
import tokenize
from collections.abc import Iterator

from tests.contracts.test_repository import ROOT, python_files

MOST_LINES = 60
"""Lines of a function's body that hold code. Its signature, its docstring, comments and blank lines do not count: they
make a function easier to read, not harder."""

_NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def lines_of_code(source: str) -> set[int]:
    """Number the lines that have anything but comments; of a text over several lines each counts."""
    return {
        line
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in _NO_CODE
        for line in range(token.start[0], token.end[0] + 1)
    }


def functions(source: str) -> Iterator[tuple[str, int]]:
    """Yield each function's name and the lines of code in its body; what is defined in it counts for it, too."""
    code = lines_of_code(source)
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
        first = min((statement.lineno for statement in body), default=node.end_lineno + 1)
        yield node.name, len(code & {*range(first, node.end_lineno + 1)})


def test_no_function_is_too_long() -> None:
    """No function has more than 60 lines of code, the tests' included; there is no exception."""
    found = {
        f"{file.as_posix()}:{name}": lines
        for file in python_files()
        for name, lines in functions((ROOT / file).read_text(encoding="utf-8"))
        if lines > MOST_LINES
    }
    assert found == {}


def test_only_code_counts() -> None:
    """Signature, docstring, comments and blank lines are free; statements, and every line of a long text, are not."""
    head = 'def f(\n    a,\n):\n    """Doc.\n\n    More.\n    """\n'
    source = head + '    # Why.\n    b = a\n\n    return """x\n    y\n    """\n'
    assert [*functions(source)] == [("f", 4)]
