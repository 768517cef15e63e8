"""The files of a support bundle: what is known of an installation, without secrets, events, factors or changes."""

import io
import json
import os
import tarfile
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, unquote_plus

from pydantic import SecretStr

from models.errors import SettingsError
from streams.configuration.settings import Settings, variable_of
from streams.diagnosis.checks.partitions import partition_members, problems
from streams.diagnosis.facts import Facts
from streams.diagnosis.finding import Check, exit_code
from streams.diagnosis.reading.answer import Unanswered, known
from streams.diagnosis.status import moment
from topics.contract.drift import Found

__all__ = ["bundle_of", "name_at", "require_new", "settings_without_secrets", "write_bundle"]

_LEFT_OUT: Final = "(left out)"
_SET: Final = "(set, left out)"
_LOG_LINES: Final = 2_000
_LOG_BYTES: Final = 8 * 1024 * 1024
_SHORTEST_SECRET: Final = 4
"""A shorter one would be found in every other word, and says little."""

_README: Final = """\
A support bundle of consolidator {version}, made at {at}.

settings.json   every setting, and whether it was set; secrets are left out
versions.json   what is installed on the machine where this was made
status.json     what `consolidator status` says
doctor.json     what `consolidator doctor` says: each check with its findings
topics.json     the declared topics as the cluster has them
groups.json     the groups of workers and sinks
log.txt         the end of a log, if one was given: it names applications

No event, factor or change is in it, and no dead letter: only their number by reason.
"""


def bundle_of(settings: Settings, facts: Facts, checks: Iterable[Check], log: Path | None) -> dict[str, bytes]:
    """The files of a bundle by name.

    Args:
        settings: the settings.
        facts: what was asked.
        checks: what came of it.
        log: a log whose end is put in; None: none.

    Raises:
        OSError: the log cannot be read.
    """
    judged = list(checks)
    status = facts.status
    found: dict[str, object] = {
        "settings.json": settings_without_secrets(settings),
        "versions.json": dict(facts.versions),
        "status.json": status.members()
        | {"partitions": partition_members(status), "problems": problems(status)}
        | {"state_directory": None if isinstance(facts.directory, Unanswered) else facts.directory.members()},
        "doctor.json": {"checks": [check.members() for check in judged], "exit_code": exit_code(judged)},
        "topics.json": _topics(facts),
        "groups.json": {
            group.name: {"state": group.state, "members": [each.members() for each in group.people]}
            for group in (*filter(None, [known(status.group)]), *(known(status.sinks) or ()))
        },
    }
    readme = _README.format(version=facts.versions.get("consolidator", "?"), at=moment(status.at_ms))
    secrets = _secrets_of(settings)
    # They are left out before it becomes JSON: in its text a secret may be escaped, and digits of one may be a number.
    texts = {
        name: json.dumps(_without(content, secrets), indent=2, ensure_ascii=False) + "\n"
        for name, content in found.items()
    }
    texts["README.txt"] = _text_without(readme, secrets)
    if log is not None:
        texts["log.txt"] = _text_without(_tail(log), secrets)
    return {name: text.encode() for name, text in texts.items()}


def settings_without_secrets(settings: Settings) -> list[dict[str, object]]:
    """Every setting with its variable and its value; of a secret only whether there is one.

    Args:
        settings: the settings.
    """
    found: list[dict[str, object]] = []
    for field in type(settings).model_fields:
        value = getattr(settings, field)
        # A user's name is no secret, and no helper needs it either.
        is_hidden = isinstance(value, SecretStr) or (field == "sasl_username" and value is not None)
        shown = _SET if is_hidden else value if isinstance(value, bool | int | float) or value is None else str(value)
        found.append(
            {"variable": variable_of(field), "value": shown, "is_default": field not in settings.model_fields_set}
        )
    return found


def _topics(facts: Facts) -> dict[str, object]:
    if isinstance(facts.kafka, Unanswered):
        return {"not_known": facts.kafka.reason}
    if isinstance(facts.kafka.found, Unanswered):
        return {"not_known": facts.kafka.found.reason}
    ids = known(facts.kafka.ids) or {}
    return {name: _topic(topic) | {"id": ids.get(name)} for name, topic in facts.kafka.found.items()}


def _topic(found: Found) -> dict[str, object]:
    return {
        "partitions": found.partitions,
        "replicas": sorted(found.replicas),
        "settings": {
            name: {"value": setting.value, "set_on_topic": setting.overridden}
            for name, setting in sorted(found.settings.items())
        },
    }


def _tail(log: Path) -> str:
    """The last lines of a log, of its last megabytes."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _LOG_BYTES))
        lines = deque(file, maxlen=_LOG_LINES)
    return b"".join(lines).decode(errors="replace")


def _secrets_of(settings: Settings) -> list[str]:
    """Every secret that this process knows, in each form in which a text may have it; the longest first."""
    values = [getattr(settings, field) for field in type(settings).model_fields]
    secrets = {value.get_secret_value() for value in values if isinstance(value, SecretStr)}
    secrets |= {each for secret in secrets for each in _passwords_in(secret)}
    forms = {form for secret in secrets for form in _forms_of(secret)}
    return sorted((form for form in forms if len(form) >= _SHORTEST_SECRET), key=len, reverse=True)


def _passwords_in(url: str) -> Iterator[str]:
    """The passwords in the database's URL, as they stand there: before its host, and among its parameters."""
    _, separator, rest = url.partition("://")
    if separator:
        yield rest.partition("@")[0].partition(":")[2] if "@" in rest else ""
        parameters = (each.partition("=") for each in rest.partition("?")[2].split("&"))
        yield from (value for name, _, value in parameters if "pass" in name.lower())


def _forms_of(secret: str) -> Iterator[str]:
    """A secret as it is, percent-encoded and decoded, and each of these as a line of JSON has it."""
    for form in (secret, unquote(secret), unquote_plus(secret), quote(secret, safe="")):
        yield form
        yield from (json.dumps(form, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False))


def _without(content: object, secrets: Sequence[str]) -> object:
    """What becomes JSON, without secrets in its texts: an error may quote one."""
    if isinstance(content, str):
        return _text_without(content, secrets)
    if isinstance(content, Mapping):
        return {_without(name, secrets): _without(value, secrets) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_without(value, secrets) for value in content]
    return content


def _text_without(text: str, secrets: Iterable[str]) -> str:
    """The text without secrets, wherever they come from: a log may quote one."""
    for secret in secrets:
        text = text.replace(secret, _LEFT_OUT)
    return text


def name_at(milliseconds: int) -> str:
    """The name of a bundle that is given none, by the time in UTC.

    Args:
        milliseconds: the time, since the epoch.
    """
    return f"consolidator-support-{datetime.fromtimestamp(milliseconds // 1_000, UTC):%Y%m%dT%H%M%SZ}.tar.gz"


def require_new(file: Path) -> None:
    """Refuse a file that exists: another bundle is not overwritten.

    Raises:
        SettingsError: it exists.
    """
    if file.exists():
        raise SettingsError(f"{file} exists already: name a new file. Nothing was written")


def write_bundle(files: Mapping[str, bytes], file: Path) -> int:
    """Write a bundle that only this user may read; what is half written is removed.

    Args:
        files: the contents by name.
        file: where to; it must not exist.

    Returns:
        The size in bytes.

    Raises:
        OSError: it cannot be written, or exists already.
    """
    packed = io.BytesIO()
    folder = file.name.partition(".")[0] or "bundle"
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size, entry.mode = len(content), 0o600
            archive.addfile(entry, io.BytesIO(content))
    data = packed.getvalue()
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data)
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    return len(data)
