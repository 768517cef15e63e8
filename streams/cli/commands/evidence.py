"""``consolidator evidence``."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from streams.audit.evidence.bundle import EvidenceCheck, checked
from streams.audit.evidence.collect import ErasedError, collect_evidence
from streams.audit.evidence.files import EvidenceFiles, write_evidence
from streams.audit.live_ruleset import catalogue_in_force
from streams.cli.kafka import connection_of
from streams.cli.options import catalogue_option, format_option, out_option, seal_option, servers_option
from streams.cli.output.console import note, progress, say
from streams.cli.output.erased import nothing_but_erased
from streams.cli.output.verification import note_owner, report_lines
from streams.configuration.connection import topics_of
from streams.configuration.settings import load_settings
from streams.runtime.exit_codes import FOUND

if TYPE_CHECKING:
    from streams.audit.verification.findings import Finding

_COLLECT: Final = "collect"
_DIRECTORY: Final = click.Path(path_type=Path, file_okay=False)


class _CollectByDefault(click.Group):
    """``evidence APP`` means ``evidence collect APP``; an application called "verify" needs the longer form."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The named command; without a command's name, ``collect`` with all arguments."""
        if args and args[0] in self.commands:
            return super().resolve_command(ctx, args)
        return _COLLECT, self.commands[_COLLECT], args


@click.group(
    cls=_CollectByDefault,
    # Options of ``collect`` may also come before the application.
    context_settings={"ignore_unknown_options": True},
    epilog="""\b
Examples:
  consolidator evidence app-1 --out app-1-evidence
  consolidator evidence verify app-1-evidence --seal 5f0c…

An application whose id is a command's name: consolidator evidence collect verify --out DIR
""",
)
def evidence() -> None:
    """Collect what proves an application's factors into a directory, and check such a directory without Kafka."""


@evidence.command(
    name=_COLLECT,
    epilog="""\b
Examples:
  consolidator evidence app-1 --out app-1-evidence
  consolidator evidence app-1 --out app-1-evidence --format json | jq -r .seal

Exit codes: 0 written, and everything published is what the events give; 1 written, but there are differences, or the
log has nothing of the application; 2 wrong usage, settings or catalogue, or the directory is not empty; 3 Kafka or the
disk failed.
""",
)
@click.argument("application")
@out_option
@catalogue_option
@servers_option
@format_option
def collect(
    *, application: str, directory: Path, catalogue: Path | None, bootstrap_servers: str | None, output_format: str
) -> None:
    """Write an application's source events, changes, factors, offsets and catalogue into a directory, and check them.

    No consumer group is touched. Events that were erased are left out, as is everything from before the application's
    erasure. While the application is erased there is no evidence; the place of the erasure is printed.

    Keep the seal in another place: it is the digest of the whole evidence, and shows later that nothing was changed.

    JSON is one object: application_id, directory, seal, records, erased_events_left_out and verification, as "replay
    --verify" gives it.
    """
    settings = load_settings(bootstrap_servers=bootstrap_servers, catalogue=catalogue)
    config, topics = connection_of(settings).librdkafka(), topics_of(settings)
    try:
        with progress() as display:
            task = display.add_task("collecting", total=None)
            found = collect_evidence(
                config,
                topics,
                catalogue_in_force(settings, config, topics),
                application,
                group=settings.app_id,
                max_event_bytes=settings.max_event_bytes,
                on_progress=lambda topic: display.update(task, description=f"reading {topic}"),
            )
    except ErasedError as error:
        nothing_but_erased(application, topics.executions.name, error.forgotten, output_format)
    if found.is_empty:
        note(f"{topics.executions.name} has nothing about application {application}")
        raise SystemExit(FOUND)
    check = EvidenceCheck(found)
    for finding in check.run():
        note(str(finding))
    report = check.report()
    seal = write_evidence(directory, found, report.members())
    records = {
        "executions": len(found.executions),
        "factor_changes": len(found.changes),
        "factors": len(found.factors),
    }
    if output_format == "json":
        members = {
            "application_id": application,
            "directory": str(directory),
            "seal": seal,
            "records": records,
            "erased_events_left_out": found.left_out,
            "verification": report.members(),
        }
        say(json.dumps(members, ensure_ascii=False))
    else:
        say(f"{directory}: {', '.join(f'{number} {name}' for name, number in records.items())}")
        if found.left_out:
            say(f"{found.left_out} records of erased events were left out")
        for line in report_lines(report):
            say(line)
        say(f"seal {seal}")
    note_owner(config, topics, settings.app_id)
    if report.differences:
        raise SystemExit(FOUND)


@evidence.command(
    epilog="""\b
Examples:
  consolidator evidence verify app-1-evidence
  consolidator evidence verify app-1-evidence --seal 5f0c… --format json

Exit codes: 0 everything holds; 1 a file was altered, something published is not what the events give, or the seal is
another; 2 this is no evidence.
""",
)
@click.argument("directory", type=_DIRECTORY)
@seal_option
@format_option
def verify(*, directory: Path, seal: str | None, output_format: str) -> None:
    """Check evidence without Kafka: every byte, and that the events give what was published.

    Without --seal nobody can tell where the directory comes from: whoever could write to it can make other evidence
    that holds in itself.

    JSON is one object: directory, holds, origin_checked (whether there was a seal to compare with), seal, problems (of
    files, in words), differences (as in "replay --verify") and verification (null where a file was altered).
    """
    files = EvidenceFiles.load(directory)
    problems = files.problems()
    differences: list[Finding] = []
    report = None
    if not problems:
        if seal not in {None, files.seal}:
            problems.append("the seal is another: this is not the evidence that it was given for")
        found, then = files.evidence()
        differences, report = checked(found, str(directory))
        if report.members() != then:
            problems.append("manifest.json: its verification is not what this check gives")
    holds = not (problems or differences)
    if output_format == "json":
        told = {
            "directory": str(directory),
            "holds": holds,
            "origin_checked": seal is not None,
            "seal": None if report is None else files.seal,
            "problems": problems,
            "differences": [finding.members() for finding in differences],
            "verification": None if report is None else report.members(),
        }
        say(json.dumps(told, ensure_ascii=False))
    else:
        for line in (*problems, *map(str, differences), *(() if report is None else report_lines(report))):
            say(line)
        say(f"holds, seal {files.seal}" if holds else "does NOT hold")
    if seal is None:
        note("note: without --seal it was not checked where this evidence comes from")
    if not holds:
        raise SystemExit(FOUND)
