"""The types of options and places on the command line; each reports a bad value as a usage error, exit code 2."""

import math
import re
from datetime import date, tzinfo
from time import time_ns
from typing import TYPE_CHECKING, Final

import click

from consolidator.connecting.addresses import parse_servers
from consolidator.connecting.quoting import shown
from streams.cli.output.console import note
from topics.reading.positions import AtOffset, AtTime, End, Start, parse_day, parse_moment, parse_start, parse_timezone

if TYPE_CHECKING:
    from streams.audit.history.inquiry import Moment
    from topics.reading.dead_letter_list import Place

__all__ = [
    "AddressType",
    "AmountType",
    "CountType",
    "MomentType",
    "PlaceType",
    "SealType",
    "StartType",
    "TimezoneType",
    "note_future",
]

_NANOSECONDS_A_MICROSECOND = 1_000
_MICROSECONDS_A_MILLISECOND = 1_000

_MOST: Final = 10**18 - 1
"""The greatest number of an option: less than Kafka and Python's iterators can count, and more than a user needs."""

_DIGITS: Final = re.compile(r"[0-9]{1,18}")
_SEAL: Final = re.compile("[0-9a-f]{64}")
_AMOUNT: Final = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?")


def note_future(micros: int, value: str) -> None:
    """Print a note if a time is in the future by this machine's clock: an answer has only what is known until now."""
    if micros > time_ns() // _NANOSECONDS_A_MICROSECOND:
        note(f"note: {value} is in the future: what there is until now counts")


class CountType(click.ParamType):
    """A click type for whole numbers, written in digits and within bounds. Python's int() accepts more than that.

    Args:
        least: the smallest.
        most: the greatest.
    """

    name = "integer"

    def __init__(self, least: int = 1, most: int = _MOST) -> None:
        self._least = least
        self._most = most

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Convert the given text; a default is a number already."""
        text = str(value)
        if _DIGITS.fullmatch(text) and self._least <= int(text) <= self._most:
            return int(text)
        wanted = f"of at least {self._least:,}" if self._most == _MOST else f"from {self._least:,} to {self._most:,}"
        return self.fail(f"{shown(text)} is no whole number {wanted}", param, ctx)


class AmountType(click.ParamType):
    """A click type for numbers with decimals, neither infinite nor none.

    Args:
        least: the smallest.
        most: the greatest.
    """

    name = "number"

    def __init__(self, least: float, most: float) -> None:
        self._least = least
        self._most = most

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Convert the given text; a default is a number already."""
        number = float(str(value)) if _AMOUNT.fullmatch(str(value)) else math.nan
        if self._least <= number <= self._most:
            return number
        return self.fail(f"{shown(value)} is no number from {self._least:,} to {self._most:,}", param, ctx)


class AddressType(click.ParamType):
    """A click type for ``host:port``; a bad value is a usage error, exit code 2."""

    name = "HOST:PORT"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Convert the given text."""
        try:
            [_] = parse_servers(value)
        except ValueError:
            self.fail(f"{shown(value)} is no host:port such as 127.0.0.1:9404", param, ctx)
        return value.strip()


class StartType(click.ParamType):
    """A click type for ``--from``; a bad value is a usage error, exit code 2."""

    name = "beginning|end|TIME|PARTITION:OFFSET"

    def convert(self, value: str | Start, param: click.Parameter | None, ctx: click.Context | None) -> Start:
        """Convert the given text; a default is a Start already."""
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
    """A click type for moments; a bad value is a usage error, exit code 2.

    Args:
        times: accept an RFC 3339 time, and a bare date: the end of that day, in the time zone of another option.
        offsets: accept PARTITION:OFFSET.
        now: accept ``now``: the end of the log.
    """

    def __init__(self, *, times: bool = False, offsets: bool = False, now: bool = False) -> None:
        self._times = times
        self._offsets = offsets
        self._now = now
        kinds = (("TIME|DATE", times), ("PARTITION:OFFSET", offsets), ("now", now))
        self.name = "|".join(kind for kind, possible in kinds if possible)

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> "Moment | date":
        """Convert the given text."""
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
    """A click type for ``--timezone``; an unknown time zone is a usage error, exit code 2."""

    name = "ZONE"

    def convert(self, value: str | tzinfo, param: click.Parameter | None, ctx: click.Context | None) -> tzinfo:
        """Convert the given text."""
        if not isinstance(value, str):
            return value
        try:
            return parse_timezone(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class PlaceType(click.ParamType):
    """A click type for the place of a dead letter; a bad value is a usage error, exit code 2."""

    name = "PARTITION:OFFSET"

    def convert(self, value: "str | Place", param: click.Parameter | None, ctx: click.Context | None) -> "Place":
        """Convert the given text."""
        if not isinstance(value, str):
            return value
        partition, _, offset = value.partition(":")
        if not (partition.isdecimal() and offset.isdecimal() and value.isascii()):
            self.fail(f"{value!r} is no PARTITION:OFFSET such as 2:1500", param, ctx)
        return int(partition), int(offset)


class SealType(click.ParamType):
    """A click type for the seal of evidence, in upper or lower case."""

    name = "TEXT"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Convert the given text."""
        seal = value.strip().lower()
        if _SEAL.fullmatch(seal) is None:
            self.fail("a seal has 64 hexadecimal digits", param, ctx)
        return seal
