"""The connection and the topics' prefix from a caller's arguments, or else from the worker's environment variables."""

import os
import re
from collections.abc import Callable, Mapping
from typing import Final

from consolidator.connecting.addresses import parse_servers
from consolidator.connecting.connection import Connection
from consolidator.connecting.quoting import shown
from consolidator.connecting.secret_files import FILE_SUFFIX, secrets_from_files
from consolidator.connecting.security import MECHANISMS, PROTOCOLS, connection_of, variable_of
from consolidator.errors import SettingsError, UsageError

__all__ = ["PREFIX_PATTERN", "SECURITY", "connection_from", "prefix_from"]

SECURITY: Final = (
    "security_protocol",
    "sasl_mechanism",
    "sasl_username",
    "sasl_password",
    "ssl_ca_location",
    "ssl_certificate_location",
    "ssl_key_location",
    "ssl_key_password",
)
"""The settings of a connection besides the addresses."""

PREFIX_PATTERN: Final = r"^[a-zA-Z0-9._-]{0,100}$"
_PREFIX: Final = "CONSOLIDATOR_TOPIC_PREFIX"
_SECRETS: Final = ("sasl_password", "ssl_key_password")


def connection_from(bootstrap_servers: str | None, security: Mapping[str, str | None]) -> Connection:
    """The connection of a caller.

    Args:
        bootstrap_servers: ``host:port``, comma-separated; None: from the environment.
        security: settings by their names in :data:`SECURITY`; what is missing or None is taken from the environment.

    Raises:
        UsageError: there is no such setting.
        SettingsError: settings are missing or wrong; the message names each one, and no secret.
    """
    unknown = sorted(set(security) - {*SECURITY})
    if unknown:
        raise UsageError(f"subscribe() has no argument {', '.join(unknown)}: settings are {', '.join(SECURITY)}")
    given, sources, problems = _gathered(bootstrap_servers, security)
    for field, value in given.items():
        problem = _CHECKS[field](value) if field in _CHECKS else None
        if problem is not None:
            problems.append(f"{sources[field]}{problem}")
    if problems:
        raise SettingsError("; ".join(problems))
    servers = given.pop("bootstrap_servers", None)

    def addresses() -> tuple[str, str]:
        if servers is None:
            raise SettingsError(
                f"{variable_of('bootstrap_servers')} is not set: set it, or give bootstrap_servers, as host:port"
            )
        return servers, sources["bootstrap_servers"]

    return connection_of(given, lambda field: sources.get(field, variable_of(field)), addresses)


def _gathered(
    bootstrap_servers: str | None, security: Mapping[str, str | None]
) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """The settings that there are, the source of each, and what is wrong with files of secrets."""
    environment = {name.upper(): value for name, value in os.environ.items()}
    arguments = {"bootstrap_servers": bootstrap_servers, **security}
    given = {name: value for name, value in arguments.items() if value is not None}
    sources = {name: name for name in given}
    fields = {variable_of(field): field for field in _SECRETS if field not in given}
    secrets, wrong = secrets_from_files(environment, fields)
    for field in ("bootstrap_servers", *SECURITY):
        variable = variable_of(field)
        if field in given:
            continue
        if variable in secrets:
            given[field], sources[field] = secrets[variable], f"{variable}{FILE_SUFFIX}"
        elif variable in environment:
            given[field], sources[field] = environment[variable], variable
    return given, sources, [*wrong.values()]


def prefix_from(topic_prefix: str | None) -> str:
    """The prefix of the topics' names.

    Raises:
        SettingsError: it cannot stand in a topic's name.
    """
    source, value = "topic_prefix", topic_prefix
    if value is None:
        source = _PREFIX
        value = next((found for name, found in os.environ.items() if name.upper() == _PREFIX), "")
    if not re.fullmatch(PREFIX_PATTERN, value):
        raise SettingsError(
            f"{source} is {shown(value)}: 0 to 100 letters, digits, dots, hyphens and underscores are wanted"
        )
    return value


def _one_of(choices: tuple[str, ...], *, is_shown: bool) -> Callable[[str], str | None]:
    *first, last = choices

    def check(value: str) -> str | None:
        wanted = f": {', '.join(first)} or {last} is wanted"
        return None if value in choices else f" is {shown(value)}{wanted}" if is_shown else wanted

    return check


def _addresses(value: str) -> str | None:
    try:
        parse_servers(value)
    except ValueError as error:
        return f": {error}"
    return None


def _path(value: str) -> str | None:
    return None if value else ": it is empty: leave it unset, or give a path"


_CHECKS: Final[Mapping[str, Callable[[str], str | None]]] = {
    "bootstrap_servers": _addresses,
    "security_protocol": _one_of(PROTOCOLS, is_shown=True),
    # The value may be a password that was put into the wrong variable.
    "sasl_mechanism": _one_of(MECHANISMS, is_shown=False),
    "ssl_ca_location": _path,
    "ssl_certificate_location": _path,
    "ssl_key_location": _path,
}
