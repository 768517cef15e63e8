"""Structured logs: JSON lines for machines, text on a terminal; ours and the libraries' alike, always on stderr.

Everything goes through ``sys.stderr``, which in a worker is a queue: see :mod:`streams.runtime.standard_error`.
"""

import json
import logging
import os
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog

from streams.runtime.escaping import escaped
from streams.runtime.log_queue import encoded
from streams.runtime.standard_error import LogStream, write_lines

__all__ = ["EventLog", "configure_logging", "name_process"]

_QUIET_LIBRARIES = ("alembic", "faust", "mode", "aiokafka", "librdkafka", "asyncio", "streams.worker")
"""Loggers whose info lines are about internals of libraries: only warnings are shown, or everything with ``debug``.
Faust logs about this worker's subclasses under their module, ``streams.worker``; the worker itself logs through
structlog alone."""

_LEVELS = ("debug", "info", "warning", "error")

_OF_MANY_LINES = ("error", "exception", "stack")
"""Members that take several lines on a terminal: the advice, one step a line, and the traceback."""

_FURTHER_IN = "\n    "

_named: dict[str, Any] = {}
"""The members of every line that say which process it is from."""

_TELLS_TOO_MUCH = "aiokafka.conn"
"""This logger never logs at ``debug``: it would print whole requests and responses, with PLAIN passwords and factor
values."""

_NOISY_AT_START = "aiokafka.consumer.group_coordinator"
"""This logger reports an error while a new cluster has no coordinator yet, although it retries, so its errors are
dropped."""


def name_process(**members: Any) -> None:
    """Say in every line from now on which process it is from.

    Structlog's context variables would not do: threads of an executor, and those of libraries, do not have them.

    Args:
        members: ``worker``, ``process`` and the like.
    """
    _named.update(members)


def _from_process(_logger: Any, _method: str, members: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the members that say which process a line is from; the line's own members win."""
    for name, value in _named.items():
        members.setdefault(name, value)
    return members


def configure_logging(level: str, output: str) -> None:
    """Set up logging for a process.

    Args:
        level: debug, info, warning or error.
        output: json, text, or auto: text when stderr is a terminal.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        _from_process,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer = _renderer(output)
    if isinstance(sys.stderr, LogStream):
        sys.stderr.queue.render_lost = lambda lost, total: _line_of_lost(renderer, lost, total)
        if isinstance(renderer, structlog.processors.JSONRenderer):
            sys.stderr.render_text = lambda text: _line_of_text(renderer, text)
    # This does not use the standard library's logging, which takes five times as long for a line: every failed
    # execution logs one.
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)
    logging.getLogger(_TELLS_TOO_MUCH).setLevel(max(root.level, logging.INFO))
    if level != "debug":
        for name in _QUIET_LIBRARIES:
            logging.getLogger(name).setLevel(logging.WARNING)
        logging.getLogger(_NOISY_AT_START).setLevel(logging.CRITICAL)
        handler.addFilter(_is_no_crash)


class EventLog:
    """Log lines about events: kept until the batch ends, then rendered and written at once, under one timestamp.

    There may be thousands a second. structlog takes ten times as long for each, and a separate write for each would let
    another thread take the interpreter.

    Args:
        level: the lowest level to write: debug, info, warning or error.
        output: json, text, or auto: text when stderr is a terminal.
    """

    def __init__(self, level: str, output: str) -> None:
        self._renderer = _renderer(output)
        self._least = _LEVELS.index(level)
        self._lines: list[dict[str, Any]] = []

    def say(self, level: str, event: str, **fields: Any) -> None:
        """Keep a line.

        Args:
            level: info or warning.
            event: what happened, always in the same words.
            fields: the place and the ids; never a factor's value.
        """
        if _LEVELS.index(level) >= self._least:
            self._lines.append({"event": event, "level": level, **fields})

    def flush(self) -> None:
        """Write the lines to stderr."""
        if not self._lines:
            return
        timestamp = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        lines = [
            encoded(self._renderer(None, line["level"], {**_named, **line, "timestamp": timestamp}) + "\n")
            for line in self._lines
        ]
        self._lines.clear()
        write_lines(lines)


def _is_no_crash(record: logging.LogRecord) -> bool:
    """Whether to log a record. A crashed service of Faust is not logged here: the worker logs the error itself."""
    return not str(record.msg).endswith("Crashed reason=%r")


def _renderer(output: str) -> Any:
    """Renders the members of a log line. Ids, codes and names come from producers, so they are escaped."""
    if output != "text" and not (output == "auto" and sys.stderr.isatty()):
        return structlog.processors.JSONRenderer(serializer=_json_text)
    # structlog's own rendering of exceptions would print local variables, such as passwords and factor values.
    console = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty() and not os.environ.get("NO_COLOR"),
        exception_formatter=structlog.dev.plain_traceback,
    )

    def render(logger: Any, method: str, members: MutableMapping[str, Any]) -> str:
        # Escape before the line is coloured, because colours are escape sequences, too.
        return console(logger, method, {escaped(name): _for_console(name, value) for name, value in members.items()})

    return render


class _Shown:
    """Values that are no texts are not put into quotes."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _for_console(name: str, value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float) or name == "exc_info":
        return value
    if not isinstance(value, str):
        return _Shown(escaped(repr(value)))
    # Continuation lines are indented, so that no text can look like a log line.
    return _FURTHER_IN.join(map(escaped, value.split("\n"))) if name in _OF_MANY_LINES else escaped(value)


def _line_of_lost(renderer: Any, lost: int, total: int) -> str:
    """The line that reports lost lines."""
    level = "warning"
    timestamp = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    members = {"event": "log lines were lost", "lines": lost, "lines_in_all": total, **_named}
    return f"{renderer(None, level, members | {'level': level, 'timestamp': timestamp})}\n"


def _line_of_text(renderer: Any, text: str) -> str:
    """The line for a text that somebody has printed to stderr."""
    timestamp = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    members = {"event": text, "level": "warning", "logger": "stderr", **_named, "timestamp": timestamp}
    return str(renderer(None, "warning", members))


def _json_text(event: Any, **_: Any) -> str:
    try:
        text = msgspec.json.encode(event, enc_hook=repr).decode()
    except UnicodeEncodeError:
        # This happens for a path that is no UTF-8.
        return json.dumps(event, default=repr)
    # JSON escapes only some of the control characters.
    return escaped(text)
