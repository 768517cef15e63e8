"""``consolidator canary``."""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count, islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from streams.cli.kafka import connection_of
from streams.cli.options import (
    app_id_option,
    format_option,
    interval_option,
    lost_after_option,
    metrics_file_option,
    rounds_option,
    servers_option,
    state_dir_option,
)
from streams.cli.output.console import hint, print_json, say
from streams.configuration.connection import security_of, topics_of
from streams.configuration.settings import Settings, load_settings
from streams.runtime.exit_codes import FOUND

if TYPE_CHECKING:
    from streams.canary.residue import Residue
    from streams.canary.rounds import Canary, Round


@click.group()
def canary() -> None:
    """Try an installation from one end to the other, with events of its own."""


@canary.command(
    epilog="""\b
Examples:
  consolidator canary run
  consolidator canary run --rounds 4 --interval 0
  consolidator canary run --metrics-file /var/lib/node_exporter/canary.prom

Exit codes: 0 every round came out, or ended by a signal; 1 some rounds of --rounds were lost; 2 wrong usage or
settings, topics or permissions, or another canary uses the state directory; 3 Kafka or the disk failed at the start.

Words: docs/glossary.md
"""
)
@rounds_option
@interval_option
@lost_after_option
@metrics_file_option
@app_id_option
@state_dir_option
@servers_option
@format_option
def run(
    *,
    rounds: int | None,
    interval: float,
    lost_after: float,
    metrics_file: Path | None,
    app_id: str | None,
    state_dir: Path | None,
    bootstrap_servers: str | None,
    output_format: str,
) -> None:
    """Publish events of an application of its own, and measure the seconds until a subscriber can read their changes.

    One event a round, to one partition after the other, until SIGTERM or Ctrl-C. What it has published is erased after
    500 rounds of a partition, and at the end; what a killed one has left is erased at the next start. Ids begin with
    consolidator-canary/, and the processor is consolidator-canary. Needs the permissions of the role eraser.

    The file of --metrics-file is there while the canary runs. An end in order takes it away.

    JSON is one object a line: partition, seconds (null: the round is lost) and problem, for a round that is lost.
    """
    settings = load_settings(app_id=app_id, state_dir=state_dir, bootstrap_servers=bootstrap_servers)
    as_json = output_format == "json"
    with ExitStack() as stack:
        bird, residue = _canary(settings, lost_after, stack)
        if residue.remains:
            hint(f"{len(residue.remains)} applications of an earlier canary are erased first", as_json=as_json)
            _erase(bird, as_json=as_json)
        lost = 0
        try:
            with _Metrics(metrics_file, settings.app_id, max(interval, lost_after)) as metrics:
                for one in islice(_rounds(bird, topics_of(settings).partitions, interval, metrics), rounds):
                    lost += one.seconds is None
                    _tell(one, as_json=as_json)
        finally:
            _erase(bird, as_json=as_json)
    if lost:
        sys.exit(FOUND)


def _canary(settings: Settings, limit_s: float, stack: ExitStack) -> tuple["Canary", "Residue"]:
    """Look whether all is permitted, and make the canary."""
    # Imported here, because --help and wrong settings need not wait for them.
    from consolidator import Waiter  # noqa: PLC0415
    from streams.canary.kafka_steps import KafkaSteps  # noqa: PLC0415
    from streams.canary.residue import Residue  # noqa: PLC0415
    from streams.canary.rounds import Canary  # noqa: PLC0415
    from streams.operations.eraser import require_eraser  # noqa: PLC0415
    from topics.cluster.provisioning import require  # noqa: PLC0415

    topics, connection = topics_of(settings), connection_of(settings)
    config = connection.librdkafka()
    # An eraser may write events, and read what comes of them.
    require_eraser(config, topics, settings.app_id)
    require(topics, config, only=topics.executions)
    residue = stack.enter_context(Residue(settings.state_dir / "canary" / f"{settings.app_id}.jsonl"))
    waiter = stack.enter_context(
        Waiter(
            connection.bootstrap_servers,
            app_id=settings.app_id,
            topic_prefix=settings.topic_prefix,
            **security_of(settings),
        )
    )
    steps = KafkaSteps(config, topics, settings.app_id, waiter, limit_s)
    return Canary(steps, residue, topics.partitions), residue


class _Metrics:
    """The file of metrics, while there are rounds.

    At an end in order the file is taken away: nobody goes on with it, and its last success would grow old. After a
    mistake it stays, as after a kill: its age says that the canary has gone.

    Args:
        path: the file; None: none is wanted.
        app_id: the workers' application id.
        interval_s: for how long a round and the pause after it take at most, in order.
    """

    def __init__(self, path: Path | None, app_id: str, interval_s: float) -> None:
        from streams.canary.figures import CanaryFigures  # noqa: PLC0415 - as in _canary

        self._path = path
        self._figures = CanaryFigures(app_id, interval_s, time.time())

    def __enter__(self) -> Self:
        self._write()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from streams.cli.output.operations.metrics_file import remove_metrics  # noqa: PLC0415 - as in _canary

        if not isinstance(error, Exception):
            remove_metrics(self._path)

    def count(self, one: "Round") -> None:
        """Count a round, and write the file anew."""
        self._figures.count(one, time.time())
        self._write()

    def _write(self) -> None:
        from streams.cli.output.operations.metrics_file import write_metrics  # noqa: PLC0415 - as in _canary

        write_metrics(self._path, self._figures.collect())


def _rounds(bird: "Canary", partitions: int, interval_s: float, metrics: _Metrics) -> Iterator["Round"]:
    """Rounds without end, each counted; a round begins an interval after the one before it began, at the earliest."""
    for number in count():
        began = time.monotonic()
        one = bird.round(number % partitions)
        metrics.count(one)
        yield one
        time.sleep(max(0.0, began + interval_s - time.monotonic()))


def _tell(one: "Round", *, as_json: bool) -> None:
    if as_json:
        problem = {} if one.problem is None else {"problem": one.problem}
        print_json({"partition": one.partition, "seconds": one.seconds} | problem)
    elif one.seconds is None:
        say(f"partition {one.partition}: lost: {one.problem}")
    else:
        say(f"partition {one.partition}: {one.seconds:.3f} s")


def _erase(bird: "Canary", *, as_json: bool) -> None:
    for problem in bird.erase_all():
        hint(problem, as_json=as_json)
