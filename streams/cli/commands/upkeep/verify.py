"""``consolidator sink verify``."""

from typing import TYPE_CHECKING

from streams.cli.commands.upkeep.opening import opened
from streams.cli.output.database_comparison import say_differences, say_report, shown_phases
from streams.configuration.settings import Settings
from streams.replay.scratch_directory import ScratchDirectory
from streams.runtime.exit_codes import FOUND
from streams.sink.upkeep.verify import Verification

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

__all__ = ["verify_database"]


def verify_database(settings: Settings, url: "URL", *, output_format: str) -> None:
    """Compare a database with the log, and print what differs.

    Args:
        settings: the settings.
        url: the database.
        output_format: ``table`` or ``json``.
    """
    with opened(settings, url) as (snapshots, log), ScratchDirectory() as scratch, shown_phases() as phases:
        verification = Verification(snapshots, log, scratch.path)
        say_differences(verification.run(phases), output_format)
    report = verification.report()
    say_report(report, output_format)
    if not report.is_equal:
        raise SystemExit(FOUND)
