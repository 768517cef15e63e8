"""Options that several commands have: where in a topic reading starts, and moments as people write them."""

import click

from streams.audit.history.inquiry import Moment
from topics.reading.positions import AtOffset, End, Start, parse_moment, parse_start

__all__ = ["MomentType", "StartType"]


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


class MomentType(click.ParamType):
    """A click type for moments; what cannot be read is a usage error, exit code 2.

    Args:
        times: an RFC 3339 time is one.
        offsets: PARTITION:OFFSET is one.
        now: ``now`` is one: the end of the log.
    """

    def __init__(self, *, times: bool = False, offsets: bool = False, now: bool = False) -> None:
        self._times = times
        self._offsets = offsets
        self._now = now
        kinds = (("TIME", times), ("PARTITION:OFFSET", offsets), ("now", now))
        self.name = "|".join(kind for kind, possible in kinds if possible)

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Moment:
        """Read what was typed."""
        if not isinstance(value, str):
            return value if isinstance(value, AtOffset | int) else End()
        if self._now and value == "now":
            return End()
        try:
            if self._offsets and (not self._times or value.replace(":", "").isdigit()):
                place = parse_start(value)
                if isinstance(place, AtOffset):
                    return place
                self.fail(f"{value!r} is no PARTITION:OFFSET such as 2:1500", param, ctx)
            return parse_moment(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
