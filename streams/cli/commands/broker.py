"""``consolidator broker``: the embedded Kafka broker."""

import click

from streams.broker.embedded import broker_status, start_broker, stop_broker
from streams.broker.jars import KAFKA_VERSION
from streams.cli.options import format_option, port_option
from streams.cli.output.console import note, print_document, print_json, say, told_progress
from streams.configuration.broker_choice import cache_dir, data_dir
from streams.configuration.settings import Settings, load_settings
from streams.runtime.exit_codes import FOUND


@click.group(epilog="Start with: consolidator broker start")
def broker() -> None:
    """Start, stop and inspect the embedded Kafka broker.

    A real Apache Kafka on 127.0.0.1, without Docker and without Java to install. It is used by every command as long
    as KAFKA_BOOTSTRAP_SERVERS is not set. Its data lies in CONSOLIDATOR_STATE_DIR and survives restarts.
    """


@broker.command(
    epilog="""\b
    Examples:
      consolidator broker start
      consolidator broker start --port 9092
      consolidator broker start --format json | jq -r .bootstrap_servers
    """
)
@port_option
@format_option
def start(port: int | None, output_format: str) -> None:
    """Start the broker, or find it running; it goes on by itself.

    Returns when the broker answers. The first start downloads Apache Kafka (about 45 MB); later ones need no network.

    It is one broker without replicas and without authentication, for trying things out and for tests; its heap is at
    most 768 MiB. Its data lies in kafka/ below CONSOLIDATOR_STATE_DIR (~/.local/state/consolidator) and survives
    restarts.
    """
    settings = load_settings()
    with told_progress() as tell:
        running = start_broker(data_dir(settings), cache_dir(settings), port, on_progress=tell)
    _warn_of_variable(settings)
    if output_format == "json":
        print_json({"bootstrap_servers": running.bootstrap_servers, "pid": running.pid})
        return
    say(f"Kafka {KAFKA_VERSION} is running on {running.bootstrap_servers} (process {running.pid}).")
    note(f"Its data is in {data_dir(settings)}. To stop it: consolidator broker stop")


@broker.command(epilog="Example: consolidator broker stop")
@format_option
def stop(output_format: str) -> None:
    """Stop the broker; its data stays. Nothing happens when none is running."""
    settings = load_settings()
    with told_progress() as tell:
        was_running = stop_broker(data_dir(settings), on_progress=tell)
    if output_format == "json":
        print_json({"stopped": was_running})
        return
    say("Stopped." if was_running else f"No embedded broker is running in {data_dir(settings)}.")


@broker.command(
    epilog="""\b
    Examples:
      consolidator broker status
      consolidator broker status --format json | jq .running
    """
)
@format_option
@click.pass_context
def status(context: click.Context, output_format: str) -> None:
    """Show whether the broker runs, where, and where its data is. Exit code 1 when it does not run."""
    settings = load_settings()
    running = broker_status(data_dir(settings))
    facts = {
        "running": running is not None,
        "bootstrap_servers": None if running is None else running.bootstrap_servers,
        "pid": None if running is None else running.pid,
        "data_dir": str(data_dir(settings)),
        "kafka_version": KAFKA_VERSION,
    }
    if output_format == "json":
        print_json(facts)
    else:
        _print_table(facts)
    _warn_of_variable(settings)
    if running is None:
        context.exit(FOUND)


def _print_table(facts: dict[str, bool | int | str | None]) -> None:
    shown = {"running": "yes" if facts["running"] else "no (consolidator broker start)"}
    shown |= {name: str(fact) for name, fact in facts.items() if fact is not None and name != "running"}
    # Users copy paths and addresses from here, so each has to stay on one line.
    print_document("\n".join(f"{name:<18} {text}" for name, text in shown.items()))


def _warn_of_variable(settings: Settings) -> None:
    if settings.bootstrap_servers is not None:
        note(
            f"Note: KAFKA_BOOTSTRAP_SERVERS is set to {settings.bootstrap_servers}: the other commands talk to that, "
            "not to the embedded broker."
        )
