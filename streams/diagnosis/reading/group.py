"""Who is in a consumer group, and which partitions each member has; nobody joins for that."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from consolidator.connecting.patience import ask_patiently
from models.errors import AuthorizationError, InfrastructureError
from topics.cluster.admin_client import REACH_TIMEOUT_S

__all__ = ["Group", "Member", "group_names", "groups_of"]

_NOBODY: Final = "empty"
_STABLE: Final = "stable"


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a group.

    Attributes:
        name: its instance id where it has one, else the beginning of the id that the broker gave it.
        host: the address from which it is connected.
        partitions: those of the source topic that it has.
    """

    name: str
    host: str
    partitions: tuple[int, ...]

    def members(self) -> dict[str, object]:
        """As a JSON object."""
        return {"member": self.name, "host": self.host, "partitions": list(self.partitions)}


@dataclass(frozen=True, slots=True)
class Group:
    """A consumer group.

    Attributes:
        name: its id.
        state: as Kafka calls it, in lower case: ``stable``, ``empty``, ``preparing_rebalance``, ….
        people: its members.
    """

    name: str
    state: str
    people: tuple[Member, ...] = ()

    @property
    def is_settled(self) -> bool:
        """Whether every member knows its partitions."""
        return self.state in {_STABLE, _NOBODY, "dead"}

    def owner(self, partition: int) -> Member | None:
        """The member that has a partition; None: nobody has it."""
        return next((member for member in self.people if partition in member.partitions), None)

    def unowned(self, partitions: int) -> list[int]:
        """The partitions that nobody has."""
        return [one for one in range(partitions) if self.owner(one) is None]


def groups_of(admin: AdminClient, names: Iterable[str], topic: str) -> dict[str, Group]:
    """The groups of these names; a group that does not exist is empty.

    Args:
        admin: the client.
        names: their ids.
        topic: the topic whose partitions the members share.

    Raises:
        AuthorizationError: this user may not look at one.
        InfrastructureError: its coordinator does not answer.
    """
    return {name: _group(admin, name, topic) for name in names}


def _group(admin: AdminClient, name: str, topic: str) -> Group:
    def ask() -> Any:
        return admin.describe_consumer_groups([name], request_timeout=REACH_TIMEOUT_S)[name].result(REACH_TIMEOUT_S + 1)

    try:
        found = ask_patiently(ask, limit_s=REACH_TIMEOUT_S)
    except KafkaException as error:
        cause = error.args[0]
        if cause.code() == KafkaError.GROUP_ID_NOT_FOUND:
            return Group(name, _NOBODY)
        if cause.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
            raise AuthorizationError(f"this user may not look at group {name}: Describe on it is missing") from error
        raise InfrastructureError(f"group {name} cannot be looked at: {cause.str()}") from error
    return Group(name, found.state.name.lower(), tuple(_member(each, topic) for each in found.members))


def _member(found: Any, topic: str) -> Member:
    owned = sorted(place.partition for place in found.assignment.topic_partitions if place.topic == topic)
    return Member(found.group_instance_id or _short(found.member_id), found.host.lstrip("/"), tuple(owned))


def _short(member_id: str) -> str:
    """The end of a member's id: it begins with the client's name, which is the same for all of them."""
    return member_id.rpartition("-")[2] or member_id


def group_names(admin: AdminClient, prefix: str) -> list[str]:
    """The ids of the groups that begin with a prefix; those that this user may not see are left out.

    Raises:
        InfrastructureError: a broker does not answer.
    """
    try:
        found = admin.list_consumer_groups(request_timeout=REACH_TIMEOUT_S).result(REACH_TIMEOUT_S + 1)
    except KafkaException as error:
        raise InfrastructureError(f"the groups cannot be listed: {error.args[0].str()}") from error
    names = sorted(each.group_id for each in found.valid if each.group_id.startswith(prefix))
    if found.errors and not found.valid:
        raise InfrastructureError(f"the groups cannot be listed: {found.errors[0]}")
    return names
