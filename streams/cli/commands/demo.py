"""``consolidator demo``."""

import os
import time

import click

from streams.cli.kafka import connection_of
from streams.cli.options import (
    applications_option,
    clean_option,
    format_option,
    keep_option,
    seed_option,
    servers_option,
)
from streams.cli.output.console import is_watched, print_document, print_json, say, say_heading, told_progress
from streams.cli.output.demo_page import demo_json, next_steps, print_demo
from streams.configuration.settings import Settings, load_settings
from streams.demo.demonstration import demonstrate
from streams.demo.installation import Installation, kept
from streams.runtime.exit_codes import FOUND
from streams.runtime.signals import Interruption


@click.command(
    epilog="""\b
Examples:
  consolidator demo
  consolidator demo --keep
  consolidator demo --clean
  consolidator demo --applications 2000 --seed 7 --format json | jq .timing

Exit codes: 0 every number is right; 1 a scenario came out wrong, or a replay disagrees; 2 wrong settings; 3 Kafka, the
disk or the network failed; 130 after Ctrl-C. Whatever happened, only a --keep that came to its end leaves topics or
processes behind.
"""
)
@keep_option
@clean_option
@applications_option
@seed_option
@servers_option
@format_option
def demo(
    *,
    keep: bool,
    clean: bool,
    applications: int,
    seed: int,
    bootstrap_servers: str | None,
    output_format: str,
) -> None:
    """Show the whole system at work on a real broker, in a minute.

    Starts the embedded broker unless KAFKA_BOOTSTRAP_SERVERS is set, creates topics of its own, starts a worker,
    publishes the strategy's three scenarios and an invented day of a lending platform, and shows what came of it: the
    scenarios' numbers, failure rates, changes with their cause, dead letters.

    Nothing of it mixes with other data, and nothing is left at the end unless --keep is given.
    """
    began = time.monotonic()
    # Only the user may read the files of the worker and of the broker.
    os.umask(0o077)
    settings = load_settings(bootstrap_servers=bootstrap_servers)
    if clean:
        _clean(settings, output_format)
        return
    if settings.bootstrap_servers is not None:
        connection_of(settings)
    installation = Installation(settings)
    keeping = False
    with Interruption() as interruption:
        try:
            with told_progress() as show:

                def tell(text: str) -> None:
                    interruption.look()
                    show(text)

                def count(text: str) -> None:
                    interruption.look()
                    if is_watched():
                        show(text)

                report = demonstrate(
                    installation, seed=seed, applications=applications, began=began, tell=tell, count=count
                )
            if output_format == "json":
                say(demo_json(report, installation, kept=keep))
            else:
                print_demo(report)
                say()
                say_heading("What to try next")
                for step in next_steps(installation, kept=keep):
                    print_document(f"  {step}")
            interruption.look()
            keeping = keep
        finally:
            if not keeping:
                with told_progress() as show:
                    installation.close(show)
    if not report.is_right:
        raise SystemExit(FOUND)


def _clean(settings: Settings, output_format: str) -> None:
    names = kept(settings)
    with told_progress() as show:
        for name in names:
            installation = Installation(settings, name)
            try:
                installation.take_over(show)
            finally:
                installation.close(show)
    if output_format == "json":
        print_json({"removed": names})
    else:
        say(*[f"removed {name}" for name in names] or ["no demonstration was kept"])
