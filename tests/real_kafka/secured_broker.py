"""A real broker that permits only what an ACL allows, with a listener for each way of authentication.

The tests themselves use its plain listener: every client there is ``User:ANONYMOUS``, a super user.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from streams.broker.config import LOOPBACK, BrokerConfig, broker_properties
from streams.broker.jars import ensure_jars
from streams.broker.node import format_node, launch_node, new_cluster_id, wait_until_ready
from streams.broker.ports import free_port
from tests.real_kafka.admin_calls import answered
from tests.real_kafka.certificates import Authority, Identity
from tests.real_kafka.discarding import discard_broker
from tests.real_kafka.worker_process import wait_until
from topics.contract.permissions import Permission

__all__ = ["KEY_PASSWORD", "PASSWORD", "USER", "SecuredBroker", "secured_broker"]

USER: Final = "worker"
PASSWORD: Final = "canary-3f7a-password"
KEY_PASSWORD: Final = "canary-91cc-key-password"

LIMIT_S = 30.0
_ITERATIONS = 4_096
"""The least that Kafka accepts: these passwords are no secret."""

_START_LIMIT_S = 90.0

_LISTENERS: Final = {
    "SASL_PLAINTEXT": "SASL_PLAINTEXT",
    "SASL_SSL": "SASL_SSL",
    "ONLY_PLAIN": "SASL_PLAINTEXT",
    "SSL": "SSL",
    "OTHER_HOST": "SSL",
    "EXPIRED": "SSL",
}
"""Listeners by name, with their security protocol; SSL demands a client certificate, ONLY_PLAIN refuses SCRAM."""

_SCRAM_LOGIN = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
_LOGINS: Final = {
    "PLAIN": f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{PASSWORD}";',
    "SCRAM-SHA-256": _SCRAM_LOGIN,
    "SCRAM-SHA-512": _SCRAM_LOGIN,
}

_OPERATIONS = {
    "Read": AclOperation.READ,
    "Write": AclOperation.WRITE,
    "Create": AclOperation.CREATE,
    "Describe": AclOperation.DESCRIBE,
    "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS,
}
_EVERYTHING = AclBindingFilter(
    ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
)


@dataclass(frozen=True)
class SecuredBroker:
    """The running broker.

    Attributes:
        open_servers: the address at which a super user needs no password.
        listeners: the address of each other listener, by its name.
        authority: the authority that issued the certificates of the broker and of the client.
        client: the client certificate of the principal ``User:worker``.
        encrypted_client: the same principal's, whose key is encrypted with KEY_PASSWORD.
    """

    open_servers: str
    listeners: dict[str, str]
    authority: Authority
    client: Identity
    encrypted_client: Identity

    def scram(self, listener: str = "SASL_PLAINTEXT", mechanism: str = "SCRAM-SHA-256") -> dict[str, str]:
        """The settings of a client that authenticates with a password."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.listeners[listener],
            "KAFKA_SECURITY_PROTOCOL": _LISTENERS[listener],
            "KAFKA_SASL_MECHANISM": mechanism,
            "KAFKA_SASL_USERNAME": USER,
            "KAFKA_SASL_PASSWORD": PASSWORD,
        } | (self._trust() if listener == "SASL_SSL" else {})

    def certificate(self, identity: Identity | None = None, listener: str = "SSL") -> dict[str, str]:
        """The settings of a client that authenticates with a certificate."""
        found = identity or self.client
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.listeners[listener],
            "KAFKA_SECURITY_PROTOCOL": "SSL",
            "KAFKA_SSL_CERTIFICATE_LOCATION": str(found.certificate),
            "KAFKA_SSL_KEY_LOCATION": str(found.key),
        } | self._trust()

    def _trust(self) -> dict[str, str]:
        return {"KAFKA_SSL_CA_LOCATION": str(self.authority.certificate)}

    def permit(self, wanted: Iterable[Permission]) -> None:
        """Permit the user these operations, and no other user any."""
        self.permit_only(_binding(one) for one in wanted)

    @property
    def admin(self) -> AdminClient:
        """A super user's client."""
        return AdminClient({"bootstrap.servers": self.open_servers, "log_level": 2})

    def permit_only(self, wanted: Iterable[AclBinding]) -> None:
        """Replace all ACLs of the broker by these, and wait until they are in force."""
        admin, bindings = self.admin, set(wanted)
        there = _bindings(admin)
        surplus = [_filter_of(binding) for binding in there - bindings]
        if surplus:
            for one in surplus:
                answered(lambda ask_s, one=one: admin.delete_acls([one], request_timeout=ask_s)[one])  # type: ignore[misc]
        if missing := list(bindings - there):
            for one in missing:
                answered(lambda ask_s, one=one: admin.create_acls([one], request_timeout=ask_s)[one])  # type: ignore[misc]
        wait_until(
            lambda: _bindings(admin) == bindings,
            "the ACLs to be in force",
            limit_s=LIMIT_S,
        )


@contextmanager
def secured_broker(directory: Path, cache_dir: Path) -> Iterator[SecuredBroker]:
    """Start the broker, with its user; stop it at the end.

    Args:
        directory: for its data and the certificates.
        cache_dir: where Kafka's jars are.
    """
    authority = Authority(directory)
    ports: list[int] = []
    for _ in range(2 + len(_LISTENERS)):
        ports.append(free_port(other_than=frozenset(ports)))
    listeners = dict(zip(_LISTENERS, ports[2:], strict=True))
    plain = BrokerConfig(directory / "kafka", ports[0], ports[1])
    config = replace(plain, properties=_properties(broker_properties(plain), listeners, authority))
    try:
        jars = ensure_jars(cache_dir, None)
        format_node(config, jars, new_cluster_id())
        launch_node(config, jars)
        wait_until_ready(config, limit_s=_START_LIMIT_S)
        _add_user(config.bootstrap_servers)
        yield SecuredBroker(
            config.bootstrap_servers,
            {name: f"{LOOPBACK}:{port}" for name, port in listeners.items()},
            authority,
            authority.client(USER),
            authority.client(f"encrypted-{USER}", key_password=KEY_PASSWORD),
        )
    finally:
        discard_broker(config.data_dir)


def _properties(chosen: Mapping[str, str], listeners: Mapping[str, int], authority: Authority) -> dict[str, str]:
    addresses = ",".join(f"{name}://{LOOPBACK}:{port}" for name, port in listeners.items())
    protocols = ",".join(f"{name}:{protocol}" for name, protocol in _LISTENERS.items())
    return {
        "listeners": f"{chosen['listeners']},{addresses}",
        "advertised.listeners": f"{chosen['advertised.listeners']},{addresses}",
        "listener.security.protocol.map": f"{chosen['listener.security.protocol.map']},{protocols}",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": "User:ANONYMOUS",
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.certificate),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(authority.broker("broker").bundle),
        "ssl.principal.mapping.rules": r"RULE:^.*CN=(encrypted-)?([^,]+).*$/$2/",
        "listener.name.ssl.ssl.client.auth": "required",
        "listener.name.other_host.ssl.keystore.location": str(authority.broker("other", "kafka.example.com").bundle),
        "listener.name.expired.ssl.keystore.location": str(authority.broker("expired", expired=True).bundle),
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
        "listener.name.only_plain.sasl.enabled.mechanisms": "PLAIN",
    } | {
        f"listener.name.{listener.lower()}.{mechanism.lower()}.sasl.jaas.config": login
        for listener in ("SASL_PLAINTEXT", "SASL_SSL", "ONLY_PLAIN")
        for mechanism, login in _LOGINS.items()
    }


def _bindings(admin: AdminClient) -> set[AclBinding]:
    return set(answered(lambda ask_s: admin.describe_acls(_EVERYTHING, request_timeout=ask_s)) or ())


def _add_user(servers: str) -> None:
    """Add the user with both SCRAM mechanisms, and wait until the broker knows it."""
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 2})
    wanted = [
        UserScramCredentialUpsertion(USER, ScramCredentialInfo(mechanism, _ITERATIONS), PASSWORD.encode())
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512)
    ]
    for credential in wanted:
        answered(
            lambda ask_s, one=credential: admin.alter_user_scram_credentials([one], request_timeout=ask_s)[USER]  # type: ignore[misc]
        )

    def known() -> bool:
        described = answered(lambda ask_s: admin.describe_user_scram_credentials([USER], request_timeout=ask_s)[USER])
        return described is not None and len(described.scram_credential_infos) == len(wanted)

    wait_until(known, "the user to be known", limit_s=LIMIT_S)


def _binding(permission: Permission) -> AclBinding:
    return AclBinding(
        ResourceType[permission.resource.name],
        permission.name,
        ResourcePatternType[permission.pattern.upper()],
        f"User:{USER}",
        "*",
        _OPERATIONS[permission.operation],
        AclPermissionType.ALLOW,
    )


def _filter_of(binding: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        binding.restype,
        binding.name,
        binding.resource_pattern_type,
        binding.principal,
        binding.host,
        binding.operation,
        binding.permission_type,
    )
