"""The JSON shapes in which votes, epochs, sources, aliases and gold standards come in (api.md "Shapes")."""

from __future__ import annotations

import msgspec

from stemedb import limits
from stemedb.model.claim import Tier, Value
from stemedb.model.fields import (
    Content,
    Hash,
    ObjectIn,
    Predicate,
    Seconds,
    SignatureText,
    SourceClass,
    SourceState,
    Subject,
    SupersessionName,
    Title,
    Url,
    Weight,
)
from stemedb.model.records import (
    AliasRecord,
    EpochRecord,
    GoldStandardRecord,
    SourceRecord,
    SourceStatus,
    SourceStatusRecord,
    VoteRecord,
)
from stemedb.model.statements import Epoch, Supersession, Vote
from stemedb.model.wire import SOURCE_STATUSES, SUPERSESSIONS, TIERS_BY_NAME, Faults, read_value


class VoteIn(msgspec.Struct, forbid_unknown_fields=True):
    """POST /v1/vote."""

    assertion_hash: Hash
    agent_id: Hash
    weight: Weight
    timestamp: Seconds
    signature: SignatureText


class EpochIn(msgspec.Struct, forbid_unknown_fields=True):
    """POST /v1/epoch."""

    name: Subject
    agent_id: Hash
    timestamp: Seconds
    signature: SignatureText
    supersedes: Hash | None = None
    supersession: SupersessionName = "Replaces"


class SourceIn(msgspec.Struct, forbid_unknown_fields=True):
    """POST /v1/source. `timestamp` is the server's clock where it is left out."""

    source_hash: Hash
    title: Title
    url: Url | None = None
    source_class: SourceClass | None = None
    status: SourceState = "Active"
    content: Content | None = None
    timestamp: Seconds | None = None


class SourceStatusIn(msgspec.Struct, forbid_unknown_fields=True):
    """PATCH /v1/source/{hash}."""

    status: SourceState
    timestamp: Seconds | None = None


class AliasIn(msgspec.Struct, forbid_unknown_fields=True):
    """POST /v1/alias: two subjects that mean the same."""

    subject: Subject
    alias: Subject
    timestamp: Seconds | None = None


class GoldStandardIn(msgspec.Struct, forbid_unknown_fields=True):
    """POST /v1/gold-standard: what is settled."""

    subject: Subject
    predicate: Predicate
    object: ObjectIn
    timestamp: Seconds | None = None


def vote_from_wire(wire: VoteIn) -> VoteRecord:
    """Check a vote; raises `Invalid` with every fault. Its signature is not verified here."""
    faults = Faults()
    if not -1.0 <= wire.weight <= 1.0:
        faults.add("/weight", "must be from -1 to 1")
    vote = Vote(
        faults.binary("/assertion_hash", wire.assertion_hash, 32),
        faults.binary("/agent_id", wire.agent_id, 32),
        float(wire.weight),
        faults.timestamp("/timestamp", wire.timestamp),
    )
    record = VoteRecord(vote, faults.binary("/signature", wire.signature, 64))
    faults.raise_if_any()
    return record


def epoch_from_wire(wire: EpochIn) -> EpochRecord:
    """Check an epoch; raises `Invalid` with every fault. Its signature is not verified here."""
    faults = Faults()
    epoch = Epoch(
        faults.name("/name", wire.name, limits.SUBJECT_BYTES_MAX),
        faults.optional_binary("/supersedes", wire.supersedes, 32),
        faults.choice("/supersession", wire.supersession, SUPERSESSIONS, Supersession.REPLACES),
        faults.timestamp("/timestamp", wire.timestamp),
        faults.binary("/agent_id", wire.agent_id, 32),
    )
    record = EpochRecord(epoch, faults.binary("/signature", wire.signature, 64))
    faults.raise_if_any()
    return record


def source_from_wire(wire: SourceIn, now_s: int) -> SourceRecord:
    """Check a source; raises `Invalid` with every fault. `now_s` (Unix seconds) fills a missing time."""
    faults = Faults()
    tier: Tier | None = None
    if wire.source_class is not None:
        tier = faults.choice("/source_class", wire.source_class, TIERS_BY_NAME, Tier.COMMUNITY)
    if wire.url is not None:
        faults.name("/url", wire.url, limits.SOURCE_URL_BYTES_MAX)
    if wire.content is not None and len(wire.content.encode()) > limits.SOURCE_CONTENT_BYTES_MAX:
        faults.add("/content", f"must be at most {limits.SOURCE_CONTENT_BYTES_MAX} bytes of UTF-8")
    record = SourceRecord(
        faults.binary("/source_hash", wire.source_hash, 32),
        faults.name("/title", wire.title, limits.SOURCE_TITLE_BYTES_MAX),
        wire.url,
        tier,
        faults.choice("/status", wire.status, SOURCE_STATUSES, SourceStatus.ACTIVE),
        wire.content,
        faults.timestamp("/timestamp", now_s if wire.timestamp is None else wire.timestamp),
    )
    if not any(record.source_hash) and not faults.found:
        faults.add("/source_hash", "64 zeros stand for no source")
    faults.raise_if_any()
    return record


def status_from_wire(source_hash: bytes, wire: SourceStatusIn, now_s: int) -> SourceStatusRecord:
    """Check a source's new status; raises `Invalid` with every fault."""
    faults = Faults()
    record = SourceStatusRecord(
        source_hash,
        faults.choice("/status", wire.status, SOURCE_STATUSES, SourceStatus.ACTIVE),
        faults.timestamp("/timestamp", now_s if wire.timestamp is None else wire.timestamp),
    )
    faults.raise_if_any()
    return record


def alias_from_wire(wire: AliasIn, now_s: int) -> AliasRecord:
    """Check an alias and put its subjects in byte order; raises `Invalid` with every fault."""
    faults = Faults()
    subject = faults.name("/subject", wire.subject, limits.SUBJECT_BYTES_MAX)
    alias = faults.name("/alias", wire.alias, limits.SUBJECT_BYTES_MAX)
    if subject == alias:
        faults.add("/alias", "must be another subject")
    timestamp = faults.timestamp("/timestamp", now_s if wire.timestamp is None else wire.timestamp)
    faults.raise_if_any()
    first, second = sorted((subject, alias), key=str.encode)
    return AliasRecord(first, second, timestamp)


def gold_from_wire(wire: GoldStandardIn, now_s: int) -> GoldStandardRecord:
    """Check a gold standard; raises `Invalid` with every fault."""
    faults = Faults()
    value: Value = read_value(faults, wire.object)
    record = GoldStandardRecord(
        faults.name("/subject", wire.subject, limits.SUBJECT_BYTES_MAX),
        faults.name("/predicate", wire.predicate, limits.PREDICATE_BYTES_MAX),
        value,
        faults.timestamp("/timestamp", now_s if wire.timestamp is None else wire.timestamp),
    )
    faults.raise_if_any()
    return record
