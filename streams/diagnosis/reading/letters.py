"""How many dead letters are open, by the reason."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from topics.contract.declared import Topics
from topics.reading.dead_letter_list import State, list_letters
from topics.reading.positions import Beginning, Span
from topics.reading.reader import TopicReader

__all__ = ["OpenLetters", "count_open"]

_MOST_OFFSETS: Final = 10_000
"""So many offsets of each partition are read, the newest ones. Marks of redrives come after their letters, so what is
counted among these is right; older letters are left out, and that is said."""


@dataclass(frozen=True, slots=True)
class OpenLetters:
    """The open dead letters.

    Attributes:
        by_class: their number by error class.
        is_complete: whether all that the topic has was counted.
    """

    by_class: Mapping[str, int]
    is_complete: bool

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(self.by_class.values())

    def members(self) -> dict[str, object]:
        """As a JSON object."""
        return {"open": self.count, "by_error_class": dict(self.by_class), "complete": self.is_complete}


def count_open(config: Mapping[str, str | int], topics: Topics) -> OpenLetters:
    """Count the dead letters that were not put back, or came back.

    Raises:
        ContractError: there is no such topic, or it may not be read.
        InfrastructureError: Kafka does not answer.
    """
    with TopicReader(config, topics.dlq.name, Beginning()) as reader:
        spans = {
            partition: Span(max(span.start, span.end - _MOST_OFFSETS), span.end)
            for partition, span in reader.spans.items()
        }
        letters, _ = list_letters(reader.until_end(spans))
        is_complete = all(span.start == reader.spans[partition].start for partition, span in spans.items())
    found = Counter(letter.error_class for letter in letters if letter.state is not State.REDRIVEN)
    return OpenLetters(dict(found.most_common()), is_complete)
