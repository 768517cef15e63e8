"""Options that several commands have: where in a topic reading starts, and moments as people write them."""

from datetime import date, tzinfo
from time import time_ns

import click

from streams.audit.history.inquiry import Moment
from topics.reading.positions import AtOffset, AtTime, End, Start, parse_day, parse_moment, parse_start, parse_timezone

__all__ = ["MomentType", "StartType", "TimezoneType", "note_future"]

_NANOSECONDS_A_MICROSECOND = 1_000
_MICROSECONDS_A_MILLISECOND = 1_000


def note_future(micros: int, value: str) -> None:
    """Say that a time has not come yet, by this machine's clock: an answer can only have what is known until now."""
    if micros > time_ns() // _NANOSECONDS_A_MICROSECOND:
        click.echo(f"note: {value} is in the future: what there is until now counts", err=True)


class StartType(click.ParamType):
    """A click type for ``--from``: what cannot be read is a usage error, exit code 2."""

    name = "beginning|end|TIME|PARTITION:OFFSET"

    def convert(self, value: str | Start, param: click.Parameter | None, ctx: click.Context | None) -> Start:
        """Read what was typed; a default is a Start already."""
        if not isinstance(value, str):
            return value
        try:
            start = parse_start(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if isinstance(start, AtTime):
            note_future(start.milliseconds * _MICROSECONDS_A_MILLISECOND, value)
        return start


class MomentType(click.ParamType):
    """A click type for moments; what cannot be read is a usage error, exit code 2.

    Args:
        times: an RFC 3339 time is one; a bare date as well, whose end is meant in a time zone that is given apart.
        offsets: PARTITION:OFFSET is one.
        now: ``now`` is one: the end of the log.
    """

    def __init__(self, *, times: bool = False, offsets: bool = False, now: bool = False) -> None:
        self._times = times
        self._offsets = offsets
        self._now = now
        kinds = (("TIME|DATE", times), ("PARTITION:OFFSET", offsets), ("now", now))
        self.name = "|".join(kind for kind, possible in kinds if possible)

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Moment | date:
        """Read what was typed."""
        if not isinstance(value, str):
            return value if isinstance(value, AtOffset | int | date) else End()
        if self._now and value == "now":
            return End()
        try:
            if self._offsets and (not self._times or value.replace(":", "").isdigit()):
                place = parse_start(value)
                if isinstance(place, AtOffset):
                    return place
                self.fail(f"{value!r} is no PARTITION:OFFSET such as 2:1500", param, ctx)
            day = parse_day(value)
            if day is not None:
                return day
            moment = parse_moment(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        note_future(moment, value)
        return moment


class TimezoneType(click.ParamType):
    """A click type for ``--timezone``; what is not known is a usage error, exit code 2."""

    name = "ZONE"

    def convert(self, value: str | tzinfo, param: click.Parameter | None, ctx: click.Context | None) -> tzinfo:
        """Read what was typed."""
        if not isinstance(value, str):
            return value
        try:
            return parse_timezone(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
