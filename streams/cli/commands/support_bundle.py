"""``consolidator support-bundle``."""

from pathlib import Path

import click

from streams.cli.looking import health_addresses, reached, stored
from streams.cli.options import (
    app_id_option,
    format_option,
    health_option,
    log_option,
    servers_option,
    state_dir_option,
    url_option,
)
from streams.cli.output.console import note, print_json, say
from streams.configuration.connection import topics_of
from streams.configuration.settings import load_settings
from streams.diagnosis.bundle import bundle_of, name_at, require_new, write_bundle
from streams.diagnosis.doctor import examine, judge
from streams.diagnosis.reading.answer import ask
from streams.runtime.clock import system_ms
from streams.runtime.exit_codes import FAILED

__all__ = ["support_bundle"]


@click.command(
    epilog="""\b
Examples:
  consolidator support-bundle
  consolidator support-bundle case-17.tar.gz
  consolidator support-bundle case-17.tar.gz --log /var/log/consolidator.log --health 127.0.0.1:9404

Exit codes: 0 written, whatever is wrong in it; 2 wrong usage or settings, or the file exists; 3 written, but something
could not be asked; or the file cannot be written.
"""
)
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@log_option
@health_option
@url_option
@app_id_option
@state_dir_option
@servers_option
@format_option
def support_bundle(
    *,
    file: Path | None,
    log: Path | None,
    health: tuple[str, ...],
    url: str | None,
    app_id: str | None,
    state_dir: Path | None,
    bootstrap_servers: str | None,
    output_format: str,
) -> None:
    """Write what a helper needs to know into FILE, a .tar.gz that only you may read.

    Without FILE it is consolidator-support-YYYYMMDDTHHMMSSZ.tar.gz in the present directory, by the time in UTC.

    In it are the settings without their secrets, versions, what `status` and `doctor` say, the topics with their
    settings, and the groups. No event, no factor and no change is in it. With --log the last 2,000 lines of a log are;
    a log names applications: docs/security.md.

    It is written without Kafka as well, with all that can be said then.

    JSON is one object: file, bytes, files and not_asked.
    """
    settings = load_settings(sink_url=url, app_id=app_id, state_dir=state_dir, bootstrap_servers=bootstrap_servers)
    file = file or Path(name_at(system_ms()))
    require_new(file)
    topics = topics_of(settings)
    answer = ask(lambda: reached(settings))
    facts = examine(settings, topics, answer, database=stored(settings), health=health_addresses(settings, health))
    checks = judge(facts)
    bundle = bundle_of(settings, facts, checks, log)
    size = write_bundle(bundle, file)
    not_asked = [reason for check in checks for reason in check.not_asked]
    if output_format == "json":
        print_json({"file": str(file), "bytes": size, "files": sorted(bundle), "not_asked": not_asked})
    else:
        say(f"{file}: {size:,} bytes")
        say(*(f"  {name}" for name in sorted(bundle)))
        note(*(f"could not be asked: {reason}" for reason in not_asked))
    if not_asked:
        raise SystemExit(FAILED)
