"""The mark of a partition's stored rows: the last applied offset, the source topic, and the ruleset."""

from models.errors import ContractError
from models.rows import HalfwayMark, PartitionMark
from streams.core.rules import Rules
from streams.partition.state.row_codec import MARK_KEY, RowReader, decode_row

__all__ = ["still_halfway", "stored_mark"]


def stored_mark(rows: RowReader, partition: int, rules: Rules, source_topic: str, topic_id: str) -> PartitionMark:
    """The mark from which a fold continues. For a partition without rows, it is before the first offset.

    Args:
        rows: the stored rows.
        partition: the source partition.
        rules: the fold's ruleset.
        source_topic: the source topic's name, for an error's text.
        topic_id: the source topic's id; "": not known.

    Raises:
        ContractError: the rows were folded with another catalogue, or from another topic of the same name.
    """
    raw = rows.get(MARK_KEY)
    stored = None if raw is None else decode_row(raw, MARK_KEY, partition)
    mark = stored if isinstance(stored, PartitionMark) else PartitionMark(partition, -1, rules.tag)
    if mark.ruleset != rules.tag:
        raise ContractError(
            f"partition {partition} was folded with catalogue {mark.ruleset}, this worker has {rules.tag}: "
            "start it with the catalogue of the state (CONSOLIDATOR_CATALOGUE), or start over with another "
            "CONSOLIDATOR_APP_ID (consolidator topics bind), which rebuilds all factors with the new one"
        )
    if topic_id and mark.topic_id not in {"", topic_id}:
        raise ContractError(
            f"{source_topic} partition {partition}: the topic was deleted and re-created: the state is of "
            f"the one with id {mark.topic_id} up to offset {mark.applied}, this one has id {topic_id}. Nothing of "
            "it was read. To fold it from its beginning, start over with another CONSOLIDATOR_APP_ID "
            "(consolidator topics bind)"
        )
    return mark


def still_halfway(source_topic: str, halfway: HalfwayMark) -> ContractError:
    """The error that a partition is half way to another ruleset, and can only continue with that one."""
    return ContractError(
        f"{source_topic} partition {halfway.partition}: the state is half way to the ruleset that is adopted "
        f"at offset {halfway.adoption}, but that record does not come next, or the topic of rulesets no longer "
        "has it. Restore the topics, or start over with another CONSOLIDATOR_APP_ID (consolidator topics bind)"
    )
