"""The state of an installation at one moment, as values; nothing is asked and nothing is judged here."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from streams.diagnosis.reading.answer import Unanswered, known
from streams.diagnosis.reading.group import Group
from streams.diagnosis.reading.health import Health
from streams.diagnosis.reading.letters import OpenLetters
from streams.diagnosis.reading.pins import Pin
from streams.diagnosis.reading.progress import PartitionProgress
from streams.diagnosis.reading.rulesets import LiveRulesets
from streams.diagnosis.reading.times import Newest

if TYPE_CHECKING:
    from streams.sink.upkeep.status import Status as DatabaseStatus

__all__ = ["Database", "Status", "Where", "moment"]

_MOST_NAMED: Final = 4
"""So many partitions fit into a line."""


@dataclass(frozen=True, slots=True)
class Where:
    """Which installation it is.

    Attributes:
        app_id: the workers' group.
        prefix: of the topics' names.
        source: the source topic's full name.
        partitions: how many it is declared to have.
        servers: the brokers' addresses.
    """

    app_id: str
    prefix: str
    source: str
    partitions: int
    servers: str


@dataclass(frozen=True, slots=True)
class Database:
    """A sink's database.

    Attributes:
        name: its URL without a password.
        status: how it stands; or why that is not known.
    """

    name: str
    status: "DatabaseStatus | Unanswered"

    def members(self) -> dict[str, object]:
        """As a JSON object."""
        if isinstance(self.status, Unanswered):
            return {"database": self.name, "not_known": self.status.reason}
        return {
            "database": self.name,
            "partitions": [one.members() for one in self.status.partitions],
            "problems": self.status.problems(),
        }


@dataclass(frozen=True, slots=True)
class Status:
    """An installation at one moment.

    Attributes:
        at_ms: this machine's clock, in milliseconds since the epoch.
        where: which installation it is.
        group: the workers' group.
        progress: how far it is in each partition.
        other: each partition's committed offset at another look, earlier or later; None: there was none.
        pins: partitions in which a transaction is open.
        rulesets: which ruleset each partition has.
        letters: the open dead letters.
        change: the newest record of ``factor-changes``; None: there is none.
        sinks: the groups of sinks.
        database: the database; None: none is configured.
        health: by address, what workers and sinks say of themselves.
    """

    at_ms: int
    where: Where
    group: Group | Unanswered
    progress: tuple[PartitionProgress, ...] | Unanswered
    other: Mapping[int, int | None] | None
    pins: tuple[Pin, ...] | Unanswered
    rulesets: LiveRulesets | Unanswered
    letters: OpenLetters | Unanswered
    change: Newest | Unanswered | None
    sinks: tuple[Group, ...] | Unanswered
    database: Database | None
    health: Mapping[str, Health | Unanswered]

    def unanswered(self) -> Iterator[tuple[str, str]]:
        """What could not be asked, each with the reason."""
        parts = {
            "the group": self.group,
            "the partitions": self.progress,
            "open transactions": self.pins,
            "the rulesets": self.rulesets,
            "the dead letters": self.letters,
            "the last change": self.change,
            "the sinks": self.sinks,
            **({} if self.database is None else {f"the database {self.database.name}": self.database.status}),
        }
        yield from ((name, part.reason) for name, part in parts.items() if isinstance(part, Unanswered))
        if self.ages_not_asked is not None:
            yield "the ages of open transactions", self.ages_not_asked

    @property
    def ages_not_asked(self) -> str | None:
        """The open transactions whose ages were not looked up, in a line; None: there are none."""
        without = [pin for pin in known(self.pins) or () if pin.since_ms is None]
        if not without:
            return None
        told = ", ".join(f"{pin.topic} partition {pin.partition}" for pin in without[:_MOST_NAMED])
        more = f" and {len(without) - _MOST_NAMED} more" if len(without) > _MOST_NAMED else ""
        return f"too many are open to look up since when; not known of {told}{more}"

    def own_state(self, partition: int) -> str | None:
        """What the worker that has a partition says of its state; None: no worker says anything."""
        for answer in self.health.values():
            if isinstance(answer, Health) and answer.role != "sink" and partition in answer.states:
                return answer.states[partition]
        return None

    def has_moved(self, one: PartitionProgress) -> bool:
        """Whether the group has moved in a partition between the two looks."""
        return self.other is not None and self.other.get(one.partition) != one.committed

    def members(self) -> dict[str, object]:
        """As a JSON object, without states and problems."""
        group, change = known(self.group), known(self.change)
        return {
            "at": moment(self.at_ms),
            "app_id": self.where.app_id,
            "topic_prefix": self.where.prefix,
            "kafka": self.where.servers,
            "group": None
            if group is None
            else {"state": group.state, "members": [each.members() for each in group.people]},
            "rulesets": None if isinstance(self.rulesets, Unanswered) else self.rulesets.members(),
            "dead_letters": None if isinstance(self.letters, Unanswered) else self.letters.members(),
            "last_change": None
            if change is None
            else {"at": moment(change.timestamp_ms), "partition": change.partition, "offset": change.offset},
            "open_transactions": None
            if isinstance(self.pins, Unanswered)
            else [
                {"topic": pin.topic, "partition": pin.partition, "offset": pin.offset, "seconds": pin.age_s(self.at_ms)}
                for pin in self.pins
            ],
            "sinks": None
            if isinstance(self.sinks, Unanswered)
            else [{"group": sink.name, "state": sink.state, "members": len(sink.people)} for sink in self.sinks],
            "database": None if self.database is None else self.database.members(),
            "health": [
                answer.members() if isinstance(answer, Health) else {"address": address, "not_known": answer.reason}
                for address, answer in self.health.items()
            ],
            "not_known": dict(self.unanswered()),
        }


def moment(milliseconds: int) -> str:
    """A time as RFC 3339 in UTC, to the second."""
    return datetime.fromtimestamp(milliseconds / 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
