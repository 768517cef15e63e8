"""Records as a consumer gives them, without one."""

from dataclasses import dataclass

from consolidator.keys import change_key, factors_key
from consolidator.records import CurrentFactors, FactorChange, SourcePlace
from consolidator.subscribing.positions import Frame, Position
from consolidator.subscribing.start import Filter
from consolidator.subscribing.token import Stamp, filter_digests
from consolidator.testing import encode, sample_change

__all__ = ["FakeRecord", "change_record", "current_record", "frame", "made", "stamp"]


@dataclass(frozen=True)
class FakeRecord:
    """What is used of confluent-kafka's Message."""

    at: tuple[int, int]
    bytes_of_key: bytes | None
    content: bytes | None

    def partition(self):
        return self.at[0]

    def offset(self):
        return self.at[1]

    def key(self):
        return self.bytes_of_key

    def value(self):
        return self.content


def made(application_id, version, processor="bank_statement", **members):
    """A change of a version."""
    return sample_change(application_id, processor, version=SourcePlace(0, version), **members)


def change_record(change: FactorChange, offset: int, partition: int = 0) -> FakeRecord:
    return FakeRecord((partition, offset), change_key(change.application_id, change.id), encode(change))


def current_record(change: FactorChange, offset: int, partition: int = 0) -> FakeRecord:
    current = CurrentFactors(**{name: getattr(change, name) for name in CurrentFactors.__struct_fields__})
    return FakeRecord((partition, offset), factors_key(change.application_id, change.processor), encode(current))


def stamp(**members) -> Stamp:
    """What a token belongs to."""
    usual = {
        "cluster": "cluster",
        "prefix": "",
        "changes": "changes-id",
        "factors": "factors-id",
        "partitions": 4,
        "filter": filter_digests(Filter()),
    }
    return Stamp(**usual | members)


def frame(*positions: Position, of_factors: bool = False, each: bool = False) -> Frame:
    """The frame of items that come after these positions, of the partitions from 0 on."""
    return Frame(stamp(), dict(enumerate(positions)), 1_000, of_factors=of_factors, each=each)
