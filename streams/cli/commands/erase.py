"""``consolidator erase``."""

from dataclasses import dataclass
from typing import Final

import click

from consolidator.keys import partition_of
from models.errors import ContractError
from streams.cli.kafka import connection_of
from streams.cli.options import (
    confirm_earlier_option,
    format_option,
    lift_option,
    servers_option,
    timeout_option,
    yes_option,
)
from streams.cli.output.console import note, print_json, progress, say
from streams.configuration.connection import topics_of
from streams.configuration.settings import Settings, load_settings
from streams.operations.earlier_erasures import EarlierErasures
from streams.operations.erasure import ApplicationErasure, Survey
from topics.contract.declared import Topics

_EMPTY: Final = "no application has an empty id: nothing was done"
_LISTED: Final = 20
_SHORTEN: Final = (
    "To shorten it: lower min.compaction.lag.ms, max.compaction.lag.ms and segment.ms of these topics for a while "
    "(kafka-configs --alter), and set them back: no worker starts before, `topics check` names each"
)


@click.command(
    epilog="""\b
Examples:
  consolidator erase app-1
  consolidator erase app-1 --yes
  consolidator erase app-1 --lift --yes
  consolidator erase --confirm-earlier

Exit codes: 0 done, or (dry run) printed what would be done; 2 wrong usage or settings, or there is nothing to lift;
3 Kafka failed, or no worker is at work: what was written stays valid, give the command again.
"""
)
@click.argument("application", required=False)
@yes_option
@lift_option
@confirm_earlier_option
@timeout_option
@format_option
@servers_option
def erase(
    *,
    application: str | None,
    yes: bool,
    lift: bool,
    confirm_earlier: bool,
    timeout: float,
    output_format: str,
    bootstrap_servers: str | None,
) -> None:
    """Erase everything about an APPLICATION: its events, changes, factors, dead letters and state.

    A dry run unless --yes is given. An erasure is written into executions, and an entry that confirms it into the topic
    of erasures: the workers forget the application there, and refuse its events from then on. Then a tombstone is
    written for each of its records. What remains is the erasure, with a salted hash instead of the id. Kafka takes the
    bytes away later: for each topic the command prints how long they may remain, and which settings decide that. The
    command may be given again at any time.

    A record that does not say whose it is (cut off, damaged) is erased too if the id stands in it as a string of its
    own, unless its canonical key names another application. The command prints where such records are. It also prints
    where records are in which the id is only a part of a longer text; those are kept.

    JSON is one object: application_id, done, erased, tombstones, erasure (topic, partition, offset), unconfirmed
    (offsets of records that look like its erasure and have no entry), and topics with their records, keys without a
    tombstone, retention settings, mentioned and unclear (partition and offset). With --confirm-earlier it is one object
    a line: topic, partition, offset, erasure (erased, lifted) and action (confirmed, would_confirm, none).
    """
    if confirm_earlier:
        if application is not None or lift:
            raise click.UsageError("--confirm-earlier is about all applications: leave APPLICATION and --lift out")
        _confirm_earlier(load_settings(bootstrap_servers=bootstrap_servers), yes=yes, output_format=output_format)
        return
    if not application:
        raise click.UsageError("which APPLICATION?" if application is None else _EMPTY)
    settings = load_settings(bootstrap_servers=bootstrap_servers)
    done = _erased(settings, application, yes=yes, lift=lift, timeout=timeout)
    if output_format == "json":
        print_json(_members(done, application, topics_of(settings), yes=yes, lift=lift))
    else:
        _tell(done, application, topics_of(settings), yes=yes, lift=lift)


@dataclass(frozen=True, slots=True)
class _Done:
    """The records that were found, and the steps that were taken.

    Attributes:
        survey: the application's records.
        place: partition and offset of the erasure's record.
        tombstones: how many were written.
        was_unknown: whether the topics had nothing about the application before, not even an erasure.
    """

    survey: Survey
    place: tuple[int, int] | None
    tombstones: int
    was_unknown: bool


def _erased(settings: Settings, application: str, *, yes: bool, lift: bool, timeout: float) -> _Done:
    with progress() as display:
        task = display.add_task("connecting", total=None)
        erasure = ApplicationErasure(
            connection_of(settings).librdkafka(),
            topics_of(settings),
            settings.app_id,
            application,
            on_progress=lambda what: display.update(task, description=what),
        )
        survey = erasure.survey()
        was_unknown = not survey.records and survey.forgotten is None
        if was_unknown and not application.strip():
            raise ContractError(f"{_EMPTY}, and there is no record with a blank id")
        if lift and not survey.is_erased:
            earlier = ": confirm it first (--confirm-earlier)" if survey.unconfirmed else ""
            raise ContractError(f"{application} is not erased: there is nothing to lift{earlier}")
        place = None if survey.forgotten is None else (survey.forgotten.partition, survey.forgotten.offset)
        tombstones = 0
        if yes and (lift or not survey.is_erased):
            place = erasure.announce(survey, lifted=lift)
        if yes and not lift:
            erasure.wait_consolidated(limit_s=timeout)
            survey = erasure.survey()
            tombstones = erasure.entomb(survey)
    return _Done(survey, place, tombstones, was_unknown)


def _members(done: _Done, application: str, topics: Topics, *, yes: bool, lift: bool) -> dict[str, object]:
    survey, place = done.survey, done.place
    source = {"topic": topics.executions.name}
    return {
        "application_id": application,
        "done": yes,
        "erased": survey.is_erased and not (lift and yes),
        "tombstones": done.tombstones,
        "erasure": None if place is None else source | {"partition": place[0], "offset": place[1]},
        "unconfirmed": survey.unconfirmed,
        "topics": [
            {
                "topic": one.topic,
                "records": one.records,
                "without_tombstone": 0 if yes and not lift else one.standing,
                "retention": dict(one.retention.settings),
                "mentioned": _places(one.mentioned),
                "unclear": _places(one.unclear),
            }
            for one in survey.holdings
        ],
    }


def _tell(done: _Done, application: str, topics: Topics, *, yes: bool, lift: bool) -> None:
    survey, place = done.survey, done.place
    for line in _lines(survey, done.tombstones, done=yes, lift=lift):
        say(line)
    if place is not None:
        what = "lift" if lift and yes else "erasure"
        note(f"the {what} stands in {topics.executions.name} partition {place[0]} offset {place[1]}")
    if survey.unconfirmed:
        note(
            f"without an entry, and so without effect: partition {partition_of(application, topics.partitions)} "
            f"offset {', '.join(map(str, survey.unconfirmed))}; of a version before entries? See --confirm-earlier"
        )
    if done.was_unknown:
        note(f"note: no record is about {application}: is that its id? An erasure refuses its events all the same")
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
        if one.mentioned:
            lines.append(f"  unreadable, taken because the id stands in them: {_texts(one.mentioned)}")
        if one.unclear:
            lines.append(f"  unreadable, not taken: the id is only a part of something there: {_texts(one.unclear)}")
    standing = sum(one.standing for one in survey.holdings)
    lines.append(f"{tombstones:,} tombstones written" if done else f"{standing:,} tombstones would be written")
    if not done and not survey.is_erased:
        lines.append("and an erasure, by which the workers forget the application and refuse its events")
    if survey.records:
        lines.append(_SHORTEN)
    return lines


def _places(places: list[tuple[int, int]]) -> list[dict[str, int]]:
    return [{"partition": partition, "offset": offset} for partition, offset in places]


def _texts(places: list[tuple[int, int]]) -> str:
    more = f" and {len(places) - _LISTED:,} more (all with --format json)" if len(places) > _LISTED else ""
    return ", ".join(f"{partition}:{offset}" for partition, offset in places[:_LISTED]) + more


def _confirm_earlier(settings: Settings, *, yes: bool, output_format: str) -> None:
    """Confirm the erasures of versions that wrote no entries."""
    topics = topics_of(settings)
    with progress() as display:
        task = display.add_task("connecting", total=None)
        earlier = EarlierErasures(
            connection_of(settings).librdkafka(),
            topics,
            settings.app_id,
            on_progress=lambda what: display.update(task, description=what),
        )
        found = earlier.found()
        if yes:
            earlier.confirm(found)
    for one in found:
        action = ("confirmed" if yes else "would_confirm") if one.is_earlier else "none"
        what = "lifted" if one.erasure.lifted else "erased"
        if output_format == "json":
            place = {"topic": topics.executions.name, "partition": one.partition, "offset": one.offset}
            print_json(place | {"erasure": what, "action": action})
        else:
            says = {"none": "left: no worker took it in", "would_confirm": "to be confirmed"}.get(action, action)
            say(f"{one.partition}:{one.offset}  {what}  {says}")
    if not found:
        note("every erasure has its entry")
    elif not yes:
        note("nothing was changed; --yes does it")
