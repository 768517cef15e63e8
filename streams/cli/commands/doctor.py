"""``consolidator doctor``."""

from pathlib import Path

import click

from streams.cli.looking import health_addresses, reached, stored
from streams.cli.options import (
    app_id_option,
    format_option,
    health_option,
    servers_option,
    state_dir_option,
    try_transaction_option,
    url_option,
)
from streams.cli.output.console import note, print_json, say
from streams.cli.output.operations.examination import lines_of, summary_of
from streams.configuration.connection import topics_of
from streams.configuration.settings import load_settings
from streams.diagnosis.doctor import examine, judge
from streams.diagnosis.finding import exit_code

__all__ = ["doctor"]


@click.command(
    epilog="""\b
Examples:
  consolidator doctor
  consolidator doctor --format json | jq 'select(.result == "found")'
  consolidator doctor --health 127.0.0.1:9404 --url sqlite:////var/lib/consolidator/model.db

Exit codes: 0 well, notes included; 1 something is wrong; 2 wrong usage or settings; 3 something could not be asked,
such as Kafka, or for lack of a permission (consolidator topics acls --role operator).

Words: docs/glossary.md
"""
)
@try_transaction_option
@health_option
@url_option
@app_id_option
@state_dir_option
@servers_option
@format_option
def doctor(
    *,
    tries: bool,
    health: tuple[str, ...],
    url: str | None,
    app_id: str | None,
    state_dir: Path | None,
    bootstrap_servers: str | None,
    output_format: str,
) -> None:
    """Say what is wrong, how bad it is, what it means, and what to do.

    It looks at the brokers, this user's permissions, the topics, the workers' group, transactions that stay open and
    whose they are, this machine's clock, the catalogue, the state directory and its disk, the sink's database, and the
    versions. It works without a worker; without Kafka it says what can be said of this machine.

    critical: results are wrong or missing, or nothing is consolidated. warning: it will come to that. note: worth
    knowing, and nothing is ill. Nothing is changed; a file is written into the state directory and dropped.

    JSON is one object a line: for each check its name, result (well, found, not_asked), findings (severity, what,
    means, to_do) and not_asked, then a summary.
    """
    settings = load_settings(sink_url=url, app_id=app_id, state_dir=state_dir, bootstrap_servers=bootstrap_servers)
    facts = examine(
        settings,
        topics_of(settings),
        reached(settings),
        database=stored(settings),
        health=health_addresses(settings, health),
        tries=tries,
    )
    checks = judge(facts)
    code = exit_code(checks)
    if output_format == "json":
        for check in checks:
            print_json(check.members())
        print_json(summary_of(checks) | {"exit_code": code})
    else:
        say(*lines_of(checks))
        note(str(summary_of(checks)["says"]))
    if code:
        raise SystemExit(code)
