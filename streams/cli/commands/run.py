"""``consolidator run``."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streams.cli.options import (
    adopt_ruleset_option,
    app_id_option,
    catalogue_option,
    instance_id_option,
    log_format_option,
    log_level_option,
    processes_option,
    servers_option,
    state_dir_option,
)
from streams.runtime.exit_codes import DONE
from streams.runtime.signals import early_end, ignore_signals
from streams.runtime.standard_error import flush_standard_error, queue_standard_error

if TYPE_CHECKING:
    from streams.configuration.settings import Settings
    from streams.health.parent import ParentHealth


@click.command(
    epilog="Examples: consolidator run; KAFKA_BOOTSTRAP_SERVERS=broker:9092 consolidator run --catalogue rules.toml; "
    "consolidator run --processes 4; consolidator run --catalogue next.toml --adopt-ruleset lending/7. "
    "Exit codes: 0 stopped by a signal, everything in flight committed; 2 a contract is broken (settings, catalogue, "
    "topics, state); 3 Kafka or the disk failed, nothing was acknowledged."
)
@catalogue_option
@app_id_option
@state_dir_option
@instance_id_option
@servers_option
@processes_option
@adopt_ruleset_option
@log_level_option
@log_format_option
def run(
    *,
    catalogue: Path | None,
    app_id: str | None,
    state_dir: Path | None,
    instance_id: str | None,
    bootstrap_servers: str | None,
    processes: int | None,
    adopt_ruleset: str | None,
    log_level: str | None,
    log_format: str | None,
) -> None:
    """Run a worker until SIGTERM or SIGINT.

    The topics must exist: consolidator topics apply. Start as many workers as there are partitions, on any machines;
    they share the partitions among themselves. --processes starts several at once: one for each core.

    Another catalogue than the one that the state was folded with is refused, unless --adopt-ruleset names it: then each
    partition goes over to it at one record of executions, and a change with the cause "ruleset" is published for every
    result that differs. The name and version are those of the catalogue that is meant: left set, the option adopts no
    other one. See first what differs: consolidator compare --catalogue NEW. Restart the workers one after
    the other; one with the old catalogue that is given a partition of the new one ends with exit code 2.
    """
    early_end.begin()
    # Set before anything is printed, and before files or connections are opened.
    queue_standard_error()
    # State and logs hold data of the topics, so only this user may read them.
    os.umask(0o077)
    # Imported here: the settings take half a second, and a signal may come before.
    import structlog  # noqa: PLC0415

    from streams.cli.logged_settings import load_logged_settings  # noqa: PLC0415
    from streams.runtime.logs import name_process  # noqa: PLC0415
    from streams.worker.processes import fork_workers  # noqa: PLC0415

    settings = load_logged_settings(
        catalogue=catalogue,
        app_id=app_id,
        state_dir=state_dir,
        instance_id=instance_id,
        bootstrap_servers=bootstrap_servers,
        processes=processes,
        adopt_ruleset=adopt_ruleset,
        log_level=log_level,
        log_format=log_format,
    )
    log = structlog.get_logger()
    forked = None
    try:
        if settings.processes > 1:
            forked = fork_workers(settings.processes, health=_health_of(settings))
            name_process(process=forked.number)
            if settings.instance_id is not None:
                settings = settings.model_copy(update={"instance_id": f"{settings.instance_id}-{forked.number}"})
        log.info("worker process started", pid=os.getpid())
        # Imported here: Faust takes a second, which --help and wrong settings need not wait for.
        from streams.worker.runner import run_worker  # noqa: PLC0415

        if forked is None:
            run_worker(settings)
        else:
            run_worker(settings, beat=forked.beat, asking=forked.asking)
    except BaseException:
        if not early_end.has_come:
            raise
        ignore_signals()
        log.info("worker stopped before it began")
        flush_standard_error()
        # At once: a client's own end may wait for a cluster that does not answer.
        os._exit(DONE)
    finally:
        ignore_signals()


def _health_of(settings: "Settings") -> "ParentHealth | None":
    """What serves the health of several processes, if an address for it is set.

    Raises:
        SettingsError: nothing can listen at the address.
    """
    if settings.health_address is None:
        return None
    from streams.health.parent import ParentHealth  # noqa: PLC0415 - few need it

    return ParentHealth(settings.health_address, settings.app_id, settings.processes)
