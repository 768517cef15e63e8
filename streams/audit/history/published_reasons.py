"""Explanations of published factors: the application's log is folded again up to each published version."""

from collections.abc import Sequence
from dataclasses import dataclass

from consolidator.records import CurrentFactors
from models.catalogue import Catalogue
from models.errors import ContractError
from streams.audit.history.as_of import AsOf
from streams.audit.history.explanation import Explanation, explain
from streams.audit.history.inquiry import Inquiry
from streams.audit.published import published_summary
from streams.core.pair_summary import summary_of
from streams.core.rules import Rules
from streams.rulesets.rule_book import RuleBook
from topics.records.adoptions import KnownRulesets
from topics.records.erasure_authority import ErasureAuthority

__all__ = ["PublishedReason", "explain_published", "published_book"]


@dataclass(frozen=True, slots=True)
class PublishedReason:
    """The explanation of one processor's published factors.

    Attributes:
        explanation: the explanation; None: a fold of the log does not give the published factors.
        problem: the reason for None, in words; else empty.
    """

    explanation: Explanation | None
    problem: str = ""


def explain_published(inquiry: Inquiry, book: RuleBook, wanted: Sequence[CurrentFactors]) -> list[PublishedReason]:
    """Explain published factors.

    Mostly a fold of the whole log gives them. If the log is ahead of the worker, it is cut at the version of the
    published factors.

    Args:
        inquiry: of the application.
        book: the rules of every offset.
        wanted: the published records.
    """
    end = inquiry.log.end
    answers: dict[int, AsOf | str] = {}

    def at(offset: int) -> AsOf | str:
        if offset not in answers:
            answers[offset] = _answered(inquiry, offset)
        return answers[offset]

    found = []
    for one in wanted:
        whole = _explained(at(end), book, one)
        found.append(
            whole or _explained(at(one.version.offset + 1), book, one) or _not_explained(at(end), inquiry, one)
        )
    return found


def published_book(
    configured: Catalogue,
    known: KnownRulesets,
    wanted: Sequence[CurrentFactors],
    erasures: ErasureAuthority | None = None,
) -> RuleBook:
    """The rules of every offset; they begin with the ruleset that the published records name, not with the settings'.

    Args:
        configured: the catalogue of the settings.
        known: the rulesets in Kafka.
        wanted: the published records.
        erasures: knows which erasures count.
    """
    book = RuleBook(Rules(configured), lambda: known, erasures)
    digests = {one.ruleset.digest for one in wanted} & {*known.catalogues}
    if len(digests) != 1 or configured.digest in digests:
        return book
    return RuleBook(book.of_digest(*digests), lambda: known, erasures)


def _answered(inquiry: Inquiry, end: int) -> AsOf | str:
    try:
        return inquiry.known_before(end)
    except ContractError as error:
        return str(error)


def _explained(answer: AsOf | str, book: RuleBook, current: CurrentFactors) -> PublishedReason | None:
    found = None if isinstance(answer, str) else answer.processors.get(current.processor)
    if found is None or isinstance(answer, str) or found.pair.row.version != current.version.offset:
        return None
    rules = book.of_row(found.pair.row)
    if summary_of(found.pair, rules) != published_summary(current):
        return None
    return PublishedReason(explain(found, answer, rules))


def _not_explained(answer: AsOf | str, inquiry: Inquiry, current: CurrentFactors) -> PublishedReason:
    log = inquiry.log
    if isinstance(answer, str):
        return PublishedReason(None, answer)
    gone = f", which begins at offset {log.first}: earlier events are gone" if log.first else ""
    return PublishedReason(
        None,
        f"{log.log.topic} partition {log.partition} up to offset {current.version.offset} does not give what was "
        f"published{gone}. `consolidator replay --verify --application {current.application_id}` shows what differs",
    )
