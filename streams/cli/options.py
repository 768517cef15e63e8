"""``--from``: where in a topic reading starts."""

import click

from topics.reading.positions import Start, parse_start

__all__ = ["StartType"]


class StartType(click.ParamType):
    """A click type for ``--from``: what cannot be read is a usage error, exit code 2."""

    name = "beginning|end|TIME|PARTITION:OFFSET"

    def convert(self, value: str | Start, param: click.Parameter | None, ctx: click.Context | None) -> Start:
        """Read what was typed; a default is a Start already."""
        if not isinstance(value, str):
            return value
        try:
            return parse_start(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
