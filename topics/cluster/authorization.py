"""Ask the cluster what this client is permitted to do, before anything is begun."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Final

from consolidator.connecting.permissions import not_permitted as naming
from models.errors import AuthorizationError, InfrastructureError
from topics.cluster.admin_client import REACH_TIMEOUT_S, Cluster
from topics.contract.permissions import Permission, Resource

__all__ = ["missing_permissions", "not_permitted", "require_credentials", "require_permissions"]

_LOOK_S: Final = 3.0


def require_permissions(
    wanted: Collection[Permission],
    admin: Mapping[str, str | int],
    *,
    timeout_s: float = REACH_TIMEOUT_S,
    cluster: Cluster | None = None,
) -> None:
    """Raise unless the cluster permits all wanted operations, as far as it can be asked.

    It cannot be asked about transactional ids, or about a topic or a group that does not exist yet.

    Args:
        wanted: the needed permissions.
        admin: the configuration for librdkafka, as :meth:`.Connection.librdkafka` makes it.
        timeout_s: seconds after which an unreachable cluster is an error.
        cluster: an existing client that asks; None: a client is made.

    Raises:
        AuthorizationError: permissions are missing; the message names each operation and resource.
        SettingsError: when credentials, certificates or other connection settings are refused.
        InfrastructureError: when the cluster does not answer in time.
    """
    if cluster is None:
        cluster = Cluster(admin, timeout_s=timeout_s)
    cluster.metadata()
    missing = missing_permissions(wanted, cluster)
    if missing:
        raise not_permitted(*missing)


def missing_permissions(wanted: Collection[Permission], cluster: Cluster) -> list[Permission]:
    """Those of the wanted permissions that the cluster does not grant, as far as it can be asked.

    Args:
        wanted: the needed permissions.
        cluster: a client of the user whose permissions are meant.

    Raises:
        InfrastructureError: when the cluster does not answer in time.
    """
    ask = {Resource.TOPIC: cluster.topic_operations, Resource.GROUP: cluster.group_operations}
    asked = [one for one in wanted if one.resource in ask]
    granted = {(kind, name): ask[kind](name) for kind, name in {(one.resource, one.name): None for one in asked}}
    return [
        one
        for one in asked
        if (operations := granted[one.resource, one.name]) is not None and one.operation not in operations
    ]


def require_credentials(config: Mapping[str, str | int], *, timeout_s: float = _LOOK_S) -> None:
    """Raise if the cluster refuses this client's credentials or certificates. Otherwise return.

    Call it when a Kafka client gets no answer: clients treat a refusal like a broker that is down, and go on trying.
    This function tells the two cases apart. It blocks.

    Args:
        config: the configuration for librdkafka, as :meth:`.Connection.librdkafka` makes it.
        timeout_s: seconds after which it returns if the cluster does not answer at all.

    Raises:
        SettingsError: the cluster refuses them; the message names the setting.
    """
    with suppress(InfrastructureError):
        Cluster(config, timeout_s=timeout_s).metadata()


def not_permitted(*missing: Permission) -> AuthorizationError:
    """The error that names the missing permissions, and says what to do."""
    return naming(*(f"{one} ({one.why})" for one in missing))
