"""``consolidator erase``."""

import click

from models.errors import ContractError
from streams.cli.kafka import connection_of
from streams.cli.options import AmountType, format_option, servers_option, yes_option
from streams.cli.output.console import note, print_json, progress, say
from streams.configuration.connection import topics_of
from streams.configuration.settings import load_settings
from streams.operations.erasure import ApplicationErasure, Survey


@click.command(
    epilog="""\b
Examples:
  consolidator erase app-1
  consolidator erase app-1 --yes
  consolidator erase app-1 --lift --yes

Exit codes: 0 done, or told what would be done; 2 wrong usage or settings, or there is nothing to lift; 3 Kafka failed,
or no worker is at work: what was written holds, and the command is given again.
"""
)
@click.argument("application")
@yes_option
@click.option("--lift", is_flag=True, help="Accept events of the application again; what was erased stays erased.")
@click.option(
    "--timeout",
    type=AmountType(1, 86_400),
    default=60.0,
    show_default=True,
    help="Seconds to wait for the workers to take the erasure in.",
)
@format_option
@servers_option
def erase(
    *, application: str, yes: bool, lift: bool, timeout: float, output_format: str, bootstrap_servers: str | None
) -> None:
    """Erase everything about an APPLICATION: its events, changes, factors, dead letters and state.

    A dry run unless --yes is given. An erasure is written into executions: the workers forget the application there,
    and refuse its events from then on. Then a tombstone is written for each of its records. What remains is the
    erasure, with a salted hash instead of the id. Kafka takes the bytes away later: until when they remain, and by
    which settings, is told for each topic. May be given again at any time.

    JSON is one object: application_id, done, erased, tombstones, erasure (topic, partition, offset), and topics with
    their records, keys without a tombstone, and retention settings.
    """
    settings = load_settings(bootstrap_servers=bootstrap_servers)
    topics = topics_of(settings)
    with progress() as display:
        task = display.add_task("connecting", total=None)
        erasure = ApplicationErasure(
            connection_of(settings).librdkafka(),
            topics,
            settings.app_id,
            application,
            on_progress=lambda what: display.update(task, description=what),
        )
        survey = erasure.survey()
        if lift and not survey.is_erased:
            raise ContractError(f"{application} is not erased: there is nothing to lift")
        place, tombstones = survey.place, 0
        if yes and (lift or not survey.is_erased):
            place = erasure.announce(survey, lifted=lift)
        if yes and not lift:
            erasure.wait_consolidated(limit_s=timeout)
            survey = erasure.survey()
            tombstones = erasure.entomb(survey)
    if output_format == "json":
        print_json(
            {
                "application_id": application,
                "done": yes,
                "erased": survey.is_erased and not (lift and yes),
                "tombstones": tombstones,
                "erasure": None
                if place is None
                else {"topic": topics.executions.name, "partition": place[0], "offset": place[1]},
                "topics": [
                    {
                        "topic": one.topic,
                        "records": one.records,
                        "without_tombstone": 0 if yes and not lift else one.standing,
                        "retention": dict(one.retention.settings),
                    }
                    for one in survey.holdings
                ],
            }
        )
        return
    for line in _lines(survey, tombstones, done=yes, lift=lift):
        say(line)
    if place is not None:
        note(f"the erasure stands in {topics.executions.name} partition {place[0]} offset {place[1]}")
    if not yes:
        note("nothing was changed; --yes does it")


def _lines(survey: Survey, tombstones: int, *, done: bool, lift: bool) -> list[str]:
    if lift:
        return [f"events {'are' if done else 'would be'} accepted again; what was erased stays erased"]
    lines = []
    for one in survey.holdings:
        lines.append(f"{one.topic}: {one.records:,} records, {one.standing:,} keys without a tombstone")
        if one.records:
            lines.append(f"  {one.retention}")
    standing = sum(one.standing for one in survey.holdings)
    lines.append(f"{tombstones:,} tombstones written" if done else f"{standing:,} tombstones would be written")
    if not done and not survey.is_erased:
        lines.append("and an erasure, by which the workers forget the application and refuse its events")
    lines.append(
        "To shorten it: lower min.compaction.lag.ms, max.compaction.lag.ms and segment.ms of these topics for a while "
        "(kafka-configs --alter), and set them back: no worker starts before, `topics check` names each"
    )
    return lines
