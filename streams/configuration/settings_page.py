"""The settings' reference page: ``python -m streams.configuration.settings_page > docs/settings.md``.

A contract test compares the committed page with :func:`settings_page`, so a setting cannot be added without its entry.
"""

from typing import Any

import click

from streams.configuration.settings import Settings

_INTRODUCTION = """\
# Settings

Every setting is an environment variable; where a command has a flag for it, the flag wins. A wrong value is refused by
name before anything starts. This page is generated from
`streams/configuration/settings.py`: `python -m streams.configuration.settings_page`.
"""


def settings_page() -> str:
    """Render ``docs/settings.md``: for each variable what it means, its default and what is allowed."""
    properties: dict[str, dict[str, Any]] = Settings.model_json_schema()["properties"]
    return "\n".join([_INTRODUCTION, *(_entry(variable, schema) for variable, schema in properties.items())])


def _entry(variable: str, schema: dict[str, Any]) -> str:
    default = schema.get("default")
    facts = ["Default: none." if default in (None, "") else f"Default: `{default}`.", *_limits(schema)]
    return f"## `{variable}`\n\n{schema['description']}\n\n{' '.join(facts)}\n"


def _limits(schema: dict[str, Any]) -> list[str]:
    """What is allowed, in words. An optional setting's limits stand in the branch that is not null."""
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
