"""The verdict about two schemas: what the writer's may bring that the reader's does not accept, with an example."""

from dataclasses import dataclass
from typing import Any

from tests.compatibility.nodes import Node, TooDeepError, is_valid
from tests.compatibility.rules import Suspicion, suspicions

UNDECIDED = "undecided"


@dataclass(frozen=True)
class Finding:
    """One reason why a reader is not compatible with a writer.

    Attributes:
        rule: the keyword of the reader's schema, or ``undecided``.
        pointer: where in the example, as a JSON pointer (RFC 6901); of a required member, where it is missing.
        example: what the writer's schema accepts and the reader's does not; None where it is undecided.
        doubt: where it is undecided, the rule that could not be shown to hold.
    """

    rule: str
    pointer: str
    example: Any = None
    doubt: str = ""


def findings(writer: Any, reader: Any) -> list[Finding]:
    """Why a reader's schema does not accept all that a writer's does; an empty list: it does.

    An empty list is a proof. Each finding has an example, on which ``jsonschema`` has been asked about both schemas.
    Where there is neither a proof nor an example, the one finding is ``undecided``.

    Args:
        writer: a JSON Schema, draft 2020-12.
        reader: another one.
    """
    written, read = Node(writer, writer), Node(reader, reader)
    try:
        suspected = list(suspicions((written,), (read,)))
    except TooDeepError:
        return [Finding(UNDECIDED, "", doubt="depth")]
    confirmed: dict[tuple[str, str], Finding] = {}
    for suspicion in suspected:
        found = _confirmed(suspicion, written, read)
        if found is not None:
            confirmed.setdefault((found.rule, found.pointer), found)
    if confirmed or not suspected:
        return [*confirmed.values()]
    return [Finding(UNDECIDED, suspected[0].pointer, doubt=suspected[0].rule)]


def _confirmed(suspicion: Suspicion, written: Node, read: Node) -> Finding | None:
    for candidate in suspicion.candidates:
        if is_valid(candidate, written) and not is_valid(candidate, read):
            return Finding(suspicion.rule, suspicion.pointer, candidate)
    return None
