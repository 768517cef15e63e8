"""How a command ends, whatever happens: one exit code, one line that says why, and never a traceback."""

import errno
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any, Final, NoReturn, Self

import click

from models.errors import ConsolidatorError
from streams.cli.endless import signal_code
from streams.cli.output.console import complain, note, warn
from streams.cli.standard_streams import OutputError, flush_output, own_streams
from streams.runtime.error_report import place_of, write_report
from streams.runtime.escaping import escaped
from streams.runtime.exit_codes import DONE, FAILED, REFUSED, SIGNALLED, UNEXPECTED, exit_code_of
from streams.runtime.signals import ENDING, Interrupted

__all__ = ["run_program"]

_PROGRAM: Final = "consolidator"
_COMPLETION: Final = "_CONSOLIDATOR_COMPLETE"
_STATE_DIRECTORY: Final = ("CONSOLIDATOR_STATE_DIR", "~/.local/state/consolidator")
"""The variable and its default, copied from ``streams.configuration.settings``, because the error may be in the
settings."""

_PATIENCE_S: Final = 1.0
"""A second signal within this time is from the same key press: shells and process managers both pass a signal on."""

_AGAIN_S: Final = 0.05

_NO_COMMAND: Final = re.compile(r"No such command '(.*)'\.")
_NO_STOP: Final = re.compile(r"(?<=\w)(?= Did you mean )")
"""Finds the place at which click joins two sentences about an option without a full stop."""
"""Click's words."""


def run_program(command: click.Command, arguments: Sequence[str]) -> NoReturn:
    """Run the program and exit.

    1. Replace stdin, stdout and stderr, and set the signal handlers.
    2. Refuse arguments that are no UTF-8.
    3. Run the command, and flush stdout.
    4. Print an error in one line. If a signal came, it decides the exit code.

    Args:
        command: the program's group of commands.
        arguments: without the program's own name.
    """
    with _Signals() as signals, _quiet_python(signals):
        try:
            own_streams(stderr=arguments[:1] != ["run"])
            code = _finished(command, arguments)
        except BaseException as error:  # noqa: BLE001 - beyond this place nothing is left to do
            # C code may turn a signal's exception into any other one, so after a signal only errors of this program are
            # printed.
            told = signals.received is None or isinstance(error, ConsolidatorError)
            code = _explain(error, as_json=_wants_json(arguments)) if told else DONE
        if signals.received is not None:
            code = signal_code(signals.received, arguments)
        signals.ignore()
    if code == -signal.SIGPIPE:
        _die_of_closed_pipe()
    raise SystemExit(code)


def _run(command: click.Command, arguments: Sequence[str]) -> int:
    instruction = os.environ.get(_COMPLETION)
    if instruction:
        from click.shell_completion import shell_complete  # noqa: PLC0415 - for one command in a thousand

        return shell_complete(command, {}, _PROGRAM, _COMPLETION, instruction)
    with command.make_context(_PROGRAM, _readable(arguments)) as context:
        command.invoke(context)
    return DONE


def _finished(command: click.Command, arguments: Sequence[str]) -> int:
    try:
        return _run(command, arguments)
    finally:
        flush_output()


def _explain(error: BaseException, *, as_json: bool) -> int:
    """Print an error in one line, if there was one; return the exit code, -SIGPIPE for a closed stdout."""
    match error:
        case click.exceptions.Exit():
            return error.exit_code
        case SystemExit():
            return error.code if isinstance(error.code, int) else DONE if error.code is None else UNEXPECTED
        case OutputError() if error.reason.errno == errno.EPIPE:
            return -signal.SIGPIPE
        case click.exceptions.NoArgsIsHelpError():
            note(*error.format_message().split("\n"))
            return REFUSED
        case click.ClickException():
            code, message = error.exit_code, _usage(error)
        case Exception():
            code, message = _explained(error)
        case _:
            # KeyboardInterrupt without a signal: a handler of another library has raised it.
            return SIGNALLED + signal.SIGINT
    with suppress(OSError):
        # A worker's stderr is not replaced, so it may raise.
        complain(message, as_json=as_json, code=code)
    return code


def _explained(error: Exception) -> tuple[int, str]:
    """The exit code and the line for an error that a command raised."""
    if isinstance(error, ConsolidatorError):
        return exit_code_of(error), str(error)
    if isinstance(error, OutputError):
        return FAILED, f"stdout cannot be written: {error}"
    if isinstance(error, OSError) and error.strerror is not None:
        where = "" if error.filename is None else f": {escaped(os.fsdecode(error.filename))}"
        return FAILED, f"{error.strerror}{where}"
    if isinstance(error, MemoryError):
        return FAILED, "there is not enough memory"
    kafka = _kafka_words(error)
    if kafka is not None:
        return FAILED, kafka
    report = _write_down(error)
    told = f"{report} says where" if report is not None else "it could not be written down"
    place = place_of(error)
    return UNEXPECTED, (
        f"a mistake of this program, {type(error).__name__}{f' at {place}' if place else ''}: {told}; please report it"
    )


def _kafka_words(error: Exception) -> str | None:
    """The message of Kafka's client, if the error is one of its own."""
    client = sys.modules.get("confluent_kafka")
    if client is None or not isinstance(error, client.KafkaException) or not error.args:
        return None
    cause = error.args[0]
    return f"Kafka failed: {cause.str()}" if isinstance(cause, client.KafkaError) else f"Kafka failed: {cause}"


def _write_down(error: BaseException) -> Path | None:
    variable, default = _STATE_DIRECTORY
    try:
        directory = Path(os.environ.get(variable) or default).expanduser()
    except RuntimeError:
        # Path.home() raises this if there is no home directory.
        return None
    return write_report(error, directory / "errors")


def _readable(arguments: Sequence[str]) -> list[str]:
    """The arguments as UTF-8, independent of the locale.

    Raises:
        click.UsageError: one is no UTF-8.
    """
    read = []
    for number, argument in enumerate(arguments, 1):
        try:
            read.append(os.fsencode(argument).decode())
        except UnicodeError:
            raise click.UsageError(f"argument {number} is no UTF-8: {os.fsencode(argument)!r}") from None
    return read


def _usage(error: click.ClickException) -> str:
    message = error.format_message()
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return message
    unknown = _NO_COMMAND.fullmatch(message)
    if unknown is not None and isinstance(context.command, click.Group):
        near = get_close_matches(unknown[1], context.command.list_commands(context), n=1)
        message += f" Did you mean {near[0]}?" if near else ""
    return f"{_NO_STOP.sub('.', message)} ({context.command_path} --help)"


def _wants_json(arguments: Sequence[str]) -> bool:
    return "--format=json" in arguments or ("--format", "json") in pairwise(arguments)


def _die_of_closed_pipe() -> NoReturn:
    """End by SIGPIPE, as programs in a pipeline do when their reader has gone."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGPIPE})
    os.kill(os.getpid(), signal.SIGPIPE)
    os._exit(FAILED)  # not reached, unless another handler blocks the signal


@contextmanager
def _quiet_python(signals: "_Signals") -> Iterator[None]:
    """Keep Python from printing tracebacks, for example of a thread or a finalizer; warnings become one line."""
    before = threading.excepthook, sys.unraisablehook, warnings.showwarning

    def of_thread(lost: threading.ExceptHookArgs) -> None:
        if isinstance(lost.exc_value, Exception):
            _write_down(lost.exc_value)

    def of_finalizer(lost: "sys.UnraisableHookArgs") -> None:
        if isinstance(lost.exc_value, Exception):
            _write_down(lost.exc_value)
        elif issubclass(lost.exc_type, KeyboardInterrupt):
            signals.raise_again()

    def of_warning(message: Warning | str, *_: Any, **__: Any) -> None:
        if isinstance(message, UserWarning):
            warn(str(message))

    threading.excepthook, sys.unraisablehook = of_thread, of_finalizer
    warnings.showwarning = of_warning
    try:
        yield
    finally:
        threading.excepthook, sys.unraisablehook, warnings.showwarning = before


class _Signals:
    """A context in which the first signal raises KeyboardInterrupt, and is remembered: C code may lose the exception.

    Clean-up runs while the exception propagates. A second signal ends the clean-up at once.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._since = 0.0
        self._lost = False
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in ENDING:
            handler = signal.getsignal(number)
            if handler is not signal.SIG_IGN:
                self._handlers[number] = handler
                signal.signal(number, self._interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            # The handler that was set at the program's start would end it with another exit code than the one that is
            # known now.
            if handler in {signal.SIG_DFL, signal.default_int_handler}:
                signal.signal(number, handler)

    def ignore(self) -> None:
        """Ignore signals: the exit code is known, and must not change any more."""
        for number in self._handlers:
            signal.signal(number, signal.SIG_IGN)

    def raise_again(self) -> None:
        """Raise the exception again soon, because Python lost it in a finalizer or in a weak reference's callback."""
        self._lost = True
        timer = threading.Timer(_AGAIN_S, os.kill, (os.getpid(), signal.SIGINT))
        timer.daemon = True
        timer.start()

    def _interrupt(self, number: int, _frame: FrameType | None) -> None:
        if self.received is None:
            self.received, self._since = number, monotonic()
            raise Interrupted
        if self._lost:
            self._lost = False
            raise Interrupted
        if monotonic() - self._since > _PATIENCE_S:
            os._exit(signal_code(number, sys.argv[1:]))
