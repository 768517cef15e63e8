"""``consolidator demo``."""

import os
import sys
import time

import click

from streams.cli.output.console import format_option, told_progress
from streams.cli.output.demo_page import demo_json, next_steps, print_demo
from streams.configuration.settings import load_settings
from streams.demo.demonstration import demonstrate
from streams.demo.installation import Installation
from streams.runtime.exit_codes import FOUND
from streams.runtime.signals import Interruption

# Beyond it the demonstration would be a benchmark: benchmarks/throughput.py is one.
_MOST_APPLICATIONS = 10_000


@click.command(
    epilog="""\b
Examples:
  consolidator demo
  consolidator demo --keep
  consolidator demo --applications 2000 --seed 7 --format json | jq .timing

Exit codes: 0 every number is right; 1 a scenario came out wrong, or a replay disagrees; 2 wrong settings; 3 Kafka, the
disk or the network failed; 130 after Ctrl-C. Whatever happened, only a --keep that came to its end leaves topics or
processes behind.
"""
)
@click.option("--keep", is_flag=True, help="Leave topics, worker and broker as they are at the end, to look around.")
@click.option(
    "--applications",
    type=click.IntRange(1, _MOST_APPLICATIONS),
    default=300,
    show_default=True,
    help="How many applications the invented day has.",
)
@click.option(
    "--seed", type=int, default=1, show_default=True, help="Of the invented day: the same seed, the same day."
)
@format_option
def demo(*, keep: bool, applications: int, seed: int, output_format: str) -> None:
    """Show the whole system at work on a real broker, in a minute.

    Starts the embedded broker unless KAFKA_BOOTSTRAP_SERVERS is set, creates topics of its own, starts a worker,
    publishes the strategy's three scenarios and an invented day of a lending platform, and shows what came of it: the
    scenarios' numbers, failure rates, changes with their cause, dead letters.

    Nothing of it mixes with other data, and nothing is left at the end unless --keep is given.
    """
    began = time.monotonic()
    # What a worker and a broker write is nobody else's.
    os.umask(0o077)
    installation = Installation(load_settings())
    keeping = False
    with Interruption() as interruption:
        try:
            with told_progress() as say:

                def tell(text: str) -> None:
                    interruption.look()
                    say(text)

                def count(text: str) -> None:
                    interruption.look()
                    if sys.stderr.isatty():
                        say(text)

                report = demonstrate(
                    installation, seed=seed, applications=applications, began=began, tell=tell, count=count
                )
            if output_format == "json":
                click.echo(demo_json(report, installation, kept=keep))
            else:
                print_demo(report)
                click.echo()
                click.secho("What to try next", bold=True)
                for step in next_steps(installation, kept=keep):
                    click.echo(f"  {step}")
            interruption.look()
            keeping = keep
        finally:
            if not keeping:
                with told_progress() as say:
                    installation.close(say)
    if not report.is_right:
        raise SystemExit(FOUND)
