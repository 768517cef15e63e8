"""Secrets in files, as orchestrators mount them: the secret's variable with the suffix ``_FILE`` names the file."""

import os
import stat
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from consolidator.connecting.quoting import shown

__all__ = ["FILE_SUFFIX", "secrets_from_files"]

FILE_SUFFIX: Final = "_FILE"

_MOST_BYTES: Final = 64 * 1024
"""A password is short. A larger file is probably the wrong file."""


def secrets_from_files(
    environment: Mapping[str, str], variables: Collection[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Read the secrets whose files are named.

    Args:
        environment: the environment's variables; their case does not matter, as for every setting.
        variables: the variables of settings that are secrets.

    Returns:
        The secrets, and the problems in words without secrets; both by the setting's variable.
    """
    names = {name.upper(): name for name in environment}
    secrets, problems = {}, {}
    for variable in variables:
        named = names.get(variable + FILE_SUFFIX)
        if named is None:
            continue
        if variable in names:
            problems[variable] = f"{variable} and {named} are both set: set one of them"
            continue
        try:
            secrets[variable] = _secret(environment[named])
        except ValueError as error:
            problems[variable] = f"{named}: {error}"
    return secrets, problems


def _secret(place: str) -> str:
    """The content of a file, without the newline that editors and ``echo`` add at its end.

    Raises:
        ValueError: it cannot be read; the message names the file and the reason.
    """
    if place == "":
        raise ValueError("it is empty: leave it unset, or give a path")
    path = Path(place)
    try:
        # It must be a regular file: each of several processes reads it, so a pipe or a device will not do.
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError(f"{shown(path)} is no regular file")
        with path.open("rb") as file:
            held = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{shown(path)} cannot be read: {os.strerror(error.errno or 0)}") from None
    if len(held) > _MOST_BYTES:
        raise ValueError(f"{shown(path)} has more than {_MOST_BYTES:,} bytes: that is no password")
    try:
        secret = held.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError(f"{shown(path)} is no UTF-8") from None
    if secret == "":
        raise ValueError(f"{shown(path)} has nothing in it")
    return secret
