"""``consolidator up``."""

import os
from pathlib import Path
from time import sleep
from typing import Final

import click

from streams.cli.logged_settings import load_logged_settings
from streams.cli.options import (
    adopt_ruleset_option,
    app_id_option,
    applications_option,
    catalogue_option,
    demo_option,
    log_format_option,
    log_level_option,
    processes_option,
    seed_option,
    servers_option,
    state_dir_option,
    url_option,
)
from streams.cli.output.operations.up_page import open_display
from streams.cli.sink_database import missing_extra
from streams.runtime.exit_codes import DONE
from streams.runtime.signals import Interruption
from streams.supervisor.house import Demo, House, end_with_terminal

_LOOK_S: Final = 0.2


@click.command(
    epilog="""\b
Examples:
  consolidator up
  consolidator up --demo
  consolidator up --processes 2 --catalogue rules.toml
  KAFKA_BOOTSTRAP_SERVERS=broker:9092 consolidator up

Exit codes: 0 ended by a signal, everything in flight committed; 2 a contract is broken (settings, topics, catalogue,
state), or another one is at work in the state directory; 3 Kafka or the disk failed, or a process ended five times
within five minutes. Whatever happened, no process is left behind.
"""
)
@demo_option
@applications_option
@seed_option
@catalogue_option
@app_id_option
@state_dir_option
@servers_option
@processes_option
@adopt_ruleset_option
@url_option
@log_level_option
@log_format_option
def up(
    *,
    demo: bool,
    applications: int,
    seed: int,
    catalogue: Path | None,
    app_id: str | None,
    state_dir: Path | None,
    bootstrap_servers: str | None,
    processes: int | None,
    adopt_ruleset: str | None,
    url: str | None,
    log_level: str | None,
    log_format: str | None,
) -> None:
    """Run everything on one machine until SIGTERM or Ctrl-C: broker, topics, worker and sink.

    The embedded broker is started unless KAFKA_BOOTSTRAP_SERVERS is set, missing topics are created, and the worker and
    the sink (if the extra sql is installed) run beside it. On a terminal their state is shown; elsewhere it is logged.

    What ends is started again: after 1 s, then after 2, 4 and 8. What ends five times within five minutes, or with exit
    code 2, ends everything, with its last error. At the end the sink, the worker and the broker are stopped
    in this order; the data stay. A broker that was running before is used, and left running.

    With --demo the day of `consolidator demo` is published slowly, into topics of its own that are deleted at the end;
    it says with which variables other commands look at them.
    """
    # State and logs hold data of the topics, so only this user may read them.
    os.umask(0o077)
    settings = load_logged_settings(
        catalogue=catalogue,
        app_id=app_id,
        state_dir=state_dir,
        bootstrap_servers=bootstrap_servers,
        processes=processes,
        adopt_ruleset=adopt_ruleset,
        sink_url=url,
        log_level=log_level,
        log_format=log_format,
    )
    end_with_terminal()
    missing = missing_extra()
    with Interruption(code=DONE) as interruption, open_display() as display:
        if missing:
            display.report("warning", "no sink: the extra sql is not installed", missing=", ".join(missing))
        day = Demo(seed, applications) if demo else None
        house = House(settings, display.report, with_sink=not missing, demo=day)

        def tell(text: str) -> None:
            interruption.look()
            display.tell(text)

        try:
            house.open(tell)
            while True:
                interruption.look()
                house.step()
                display.show(house.shown())
                sleep(_LOOK_S)
        finally:
            if house.close(display.tell):
                display.report("info", "everything is stopped; the data stay", state=str(settings.state_dir))
