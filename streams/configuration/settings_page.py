"""The settings' reference page: ``python -m streams.configuration.settings_page > docs/settings.md``.

A contract test compares the committed page with :func:`settings_page`, so a setting cannot be added without its entry.
"""

from typing import Any

import click

from consolidator.connecting.secret_files import FILE_SUFFIX
from streams.configuration.settings import SECRETS, Settings, variable_of

_INTRODUCTION = """\
# Settings

Every setting is an environment variable; where a command has a flag for it, the flag wins. A wrong value is refused by
name before anything starts. This page is generated from
`streams/configuration/settings.py`: `python -m streams.configuration.settings_page`.

A secret may stand in a file, as orchestrators mount it: the variable with `_FILE` behind its name has the file's path.
The newline behind the secret does not belong to it. A regular file of at most 64 KiB in UTF-8 is read, at the start of
each process: restart the worker after a change. Both variables at once are refused, and so is a file that cannot be
read.
"""


def settings_page() -> str:
    """Render ``docs/settings.md``: for each variable its meaning, its default and the allowed values."""
    properties: dict[str, dict[str, Any]] = Settings.model_json_schema()["properties"]
    return "\n".join([_INTRODUCTION, *(_entry(variable, schema) for variable, schema in properties.items())])


def _entry(variable: str, schema: dict[str, Any]) -> str:
    default = schema.get("default")
    facts = ["Default: none." if default in (None, "") else f"Default: `{default}`.", *_limits(schema)]
    description = schema["description"]
    if variable in {variable_of(field) for field in SECRETS}:
        description += f" Or `{variable}{FILE_SUFFIX}`: the file that holds it."
    return f"## `{variable}`\n\n{description}\n\n{' '.join(facts)}\n"


def _limits(schema: dict[str, Any]) -> list[str]:
    """The allowed values in words. The schema of an optional setting has its limits in the branch that is not null."""
    branches = schema.get("anyOf", [schema])
    allowed = next(branch for branch in branches if branch.get("type") != "null")
    limits = []
    match allowed.get("minimum"), allowed.get("maximum"):
        case None, None:
            pass
        case least, None:
            limits.append(f"At least {least:,}.")
        case None, most:
            limits.append(f"At most {most:,}.")
        case least, most:
            limits.append(f"From {least:,} to {most:,}.")
    if "pattern" in allowed:
        limits.append(f"Matches `{allowed['pattern']}`.")
    return limits


if __name__ == "__main__":
    click.echo(settings_page(), nl=False)
