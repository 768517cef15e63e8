"""``consolidator sink rebuild``."""

import json
from contextlib import closing
from typing import TYPE_CHECKING

from streams.cli.commands.upkeep.opening import opened
from streams.cli.output.console import note, say
from streams.cli.output.database_comparison import say_differences, say_report, shown_phases
from streams.configuration.settings import Settings
from streams.runtime.exit_codes import FOUND
from streams.sink.database import disposed, open_for_writing, transaction
from streams.sink.ownership import require_database
from streams.sink.upkeep.rebuild import Rebuild
from streams.sink.upkeep.switching import switch_back

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

__all__ = ["back_to_previous", "rebuild_database"]


def rebuild_database(settings: Settings, url: "URL", *, restart: bool, switched: bool, output_format: str) -> None:
    """Build a database anew beside the running sink, compare both, and switch where that is asked for.

    Args:
        settings: the settings.
        url: the database.
        restart: begin at the beginning, whatever was built before.
        switched: let the new tables take the old ones' place.
        output_format: ``table`` or ``json``.
    """
    with (
        opened(settings, url) as (snapshots, log),
        disposed(open_for_writing(url)) as writing,
        shown_phases() as phases,
        closing(Rebuild(writing, snapshots, log)) as rebuild,
    ):
        if not rebuild.begin(restart=restart):
            note("going on where the last rebuild was; --restart begins at the beginning")
        say_differences(rebuild.run(phases), output_format)
        kept = rebuild.switch(phases) if switched else None
    report = rebuild.report()
    say_report(report, output_format, switched=switched, way_back=kept)
    if switched:
        way = "The way back: consolidator sink rebuild --back" if kept else "There is no way back: see docs/sql.md"
        note(f"switched: the running sink takes the new tables over by itself. {way}")
    else:
        note("nothing is switched; that is done by: consolidator sink rebuild --switch")
    if not report.is_equal:
        raise SystemExit(FOUND)


def back_to_previous(settings: Settings, url: "URL", *, output_format: str) -> None:
    """Let the tables of before the last switch take their place again.

    Args:
        settings: the settings.
        url: the database.
        output_format: ``table`` or ``json``.
    """
    with opened(settings, url) as (snapshots, log), disposed(open_for_writing(url)) as writing:
        with transaction(snapshots) as connection:
            require_database(connection, log.installed)
        moved = switch_back(writing, first=log.first, now_ms=log.now_ms(), absence_ms=log.absence_ms)
    if output_format == "json":
        partitions = [{"partition": one, "from": before, "to": after} for one, (before, after) in moved.items()]
        say(json.dumps({"kind": "summary", "partitions": partitions}, ensure_ascii=False))
        return
    for partition, (before, after) in moved.items():
        say(f"partition {partition}: from {before} back to {after}")
    note("the running sink goes on from there by itself. The same command goes forth again")
