"""Evidence about one application, made from a worker's output."""

from consolidator.keys import parse_event_key, partition_of
from streams.audit.evidence.bundle import Evidence, EvidenceCheck, TopicNames
from streams.audit.evidence.files import write_evidence
from streams.core.rules import Rules
from tests.inputs.cases import event, failed, ok
from tests.inputs.kept_logs import kept_log, published
from tests.inputs.workloads import load_catalogue
from tests.oracle.folds import MAX_EVENT_BYTES, catalogue_of, topics_of
from topics.records.adoptions import KnownRulesets

PARTITIONS = 4
TOPICS = topics_of(PARTITIONS)
CATALOGUE = catalogue_of(load_catalogue())
STORY = [
    event("a", "requested", 1, processor="bank_statement"),
    ok("a", 2, {"f_revenue_monthly": 10000}, processor="bank_statement"),
    failed("b", 3, processor="bank_statement"),
    ok("c", 4, {"f_revenue_monthly": 12000}, processor="bank_statement"),
    failed("d", 5, processor="credit_check"),
]


def evidence_of(items, *, without=()):
    """The evidence from a worker's output; some events, given by their ids, are missing in the source."""
    log = kept_log(items, partitions=PARTITIONS)
    changes, factors = published(log, TOPICS, Rules(CATALOGUE))
    kept = [r for r in log.records if r.value is None or parse_event_key(r.key)[1] not in without]
    partition = partition_of("app", PARTITIONS)
    end = log.records[-1].offset + 1
    names = TopicNames.of(TOPICS)
    left_out = len(log.records) - len(kept)
    return Evidence(
        "app",
        names,
        partition,
        0,
        end,
        MAX_EVENT_BYTES,
        CATALOGUE,
        KnownRulesets(),
        kept,
        changes,
        factors,
        left_out,
    )


def written(directory, evidence):
    check = EvidenceCheck(evidence)
    findings = list(check.run())
    seal = write_evidence(directory, evidence, check.report().members())
    return seal, findings
