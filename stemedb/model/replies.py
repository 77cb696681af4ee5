"""The JSON shapes of replies (api.md "Shapes"): what the service encodes and the client decodes."""

from __future__ import annotations

import msgspec

from stemedb.model.wire import SignatureIn, ValueOut


class VotesOut(msgspec.Struct, frozen=True):
    """The live votes on a claim: how many, and the sum of their weights."""

    count: int = 0
    weight: float = 0.0


class ClaimOut(msgspec.Struct, frozen=True):
    """A claim in any reply."""

    subject: str
    predicate: str
    object: ValueOut
    confidence: float
    timestamp: int
    source_class: str
    source_hash: str
    lifecycle: str
    epoch: str | None
    parent_hash: str | None
    visual_hash: str | None
    vector: list[float] | None
    signatures: list[SignatureIn]
    hash: str
    seq: int
    recorded_at: int
    effective_confidence: float
    votes: VotesOut
    source_status: str | None
    warnings: list[str]
    hidden_by: str | None


class WriteReply(msgspec.Struct, frozen=True):
    """What became of a claim: `status` is created, exists, endorsed or quarantined."""

    hash: str
    seq: int
    status: str


class StatementReply(msgspec.Struct, frozen=True):
    """What became of a vote, an epoch, an alias or a gold standard: `status` is created or exists."""

    id: str
    seq: int
    status: str


class PrepareReply(msgspec.Struct, frozen=True):
    """What to sign: `message` (hex) is the bytes for Ed25519, made for `signature_timestamp`."""

    assertion: dict[str, object]
    hash: str
    canonical: str
    signature_timestamp: int
    message: str


class ContributionOut(msgspec.Struct, frozen=True):
    """A claim that an answer rests on, with its weight in it."""

    hash: str
    weight: float


class QueryReply(msgspec.Struct, frozen=True):
    """GET /v1/query without a lens: one page of claims, newest first."""

    assertions: list[ClaimOut]
    next_cursor: str | None


class LensReply(msgspec.Struct, frozen=True):
    """GET /v1/query with a lens: the resolution."""

    lens: str
    winner: ClaimOut | None
    candidates_count: int
    resolution_confidence: float
    conflict_score: float
    contributing: list[ContributionOut]


class SkepticValueOut(msgspec.Struct, frozen=True):
    """One of the values in a quarrel, with its share of all weight."""

    value: ValueOut
    share: float
    claims_count: int
    agents_count: int
    newest: ClaimOut


class SkepticReply(msgspec.Struct, frozen=True):
    """GET /v1/skeptic: the quarrel itself, largest share first."""

    status: str
    conflict_score: float
    candidates_count: int
    claims: list[SkepticValueOut]


class LayerOut(msgspec.Struct, frozen=True):
    """One populated tier: its winner and its own quarrel."""

    tier: int
    source_class: str
    winner: ClaimOut
    candidates_count: int
    conflict_score: float


class LayeredReply(msgspec.Struct, frozen=True):
    """GET /v1/layered: populated tiers, most authoritative first, and how much they disagree."""

    tiers: list[LayerOut]
    cross_tier_conflict: float
    winner: ClaimOut | None


class ConstraintOut(msgspec.Struct, frozen=True):
    """One rule: `rule` is must_use or forbidden, `reason` the title of its source."""

    rule: str
    value: ValueOut
    reason: str | None
    claim: ClaimOut


class ConstraintsReply(msgspec.Struct, frozen=True):
    """GET /v1/constraints: the rules of a subject, most authoritative first."""

    constraints: list[ConstraintOut]


class RecordOut(msgspec.Struct, frozen=True, omit_defaults=True):
    """One record of the log; `type` is hidden, and there is no more, where the reader may not see it."""

    seq: int
    type: str
    recorded_at: int | None = None
    body: dict[str, object] | None = None


class FeedReply(msgspec.Struct, frozen=True):
    """GET /v1/feed: the log's records in order; `next` is what to ask for as `after`."""

    records: list[RecordOut]
    next: int


class ChangesReply(msgspec.Struct, frozen=True):
    """GET /v1/query with `since`: the records about that subject and predicate."""

    changes: list[RecordOut]


class SourceOut(msgspec.Struct, frozen=True, omit_defaults=True):
    """A source; `content` only where one is asked for by its hash."""

    source_hash: str
    title: str
    url: str | None
    source_class: str | None
    status: str
    timestamp: int
    seq: int
    content: str | None = None


class EpochOut(msgspec.Struct, frozen=True):
    """An epoch, and the epochs that superseded it."""

    id: str
    name: str
    supersedes: str | None
    supersession: str
    timestamp: int
    agent_id: str
    signature: str
    seq: int
    superseded_by: list[str]


class AliasOut(msgspec.Struct, frozen=True):
    """Two subjects that mean the same."""

    id: str
    subject: str
    alias: str
    timestamp: int
    seq: int


class GoldStandardOut(msgspec.Struct, frozen=True):
    """Something settled."""

    id: str
    subject: str
    predicate: str
    object: ValueOut
    timestamp: int
    seq: int


class ConceptOut(msgspec.Struct, frozen=True):
    """A subject, and how much is said about it."""

    subject: str
    claims_count: int
    predicates_count: int


class EscalationOut(msgspec.Struct, frozen=True):
    """A crowd of anecdotal claims with nothing authoritative beside it."""

    kind: str
    subject: str
    predicate: str
    claims_count: int


class SourcesReply(msgspec.Struct, frozen=True):
    """GET /v1/source."""

    sources: list[SourceOut]
    next_cursor: str | None


class EpochsReply(msgspec.Struct, frozen=True):
    """GET /v1/epoch."""

    epochs: list[EpochOut]
    next_cursor: str | None


class AliasesReply(msgspec.Struct, frozen=True):
    """GET /v1/alias."""

    aliases: list[AliasOut]
    next_cursor: str | None


class GoldStandardsReply(msgspec.Struct, frozen=True):
    """GET /v1/gold-standard."""

    gold_standards: list[GoldStandardOut]
    next_cursor: str | None


class ConceptsReply(msgspec.Struct, frozen=True):
    """GET /v1/concepts."""

    concepts: list[ConceptOut]
    next_cursor: str | None


class EscalationsReply(msgspec.Struct, frozen=True):
    """GET /v1/escalations."""

    escalations: list[EscalationOut]
    next_cursor: str | None


class AgentReply(msgspec.Struct, frozen=True):
    """GET /v1/agent/{id}: trust 0..1, how often it was judged right and wrong, how many claims it signed."""

    agent_id: str
    trust: float
    accurate: int
    inaccurate: int
    claims_count: int


class ImpactReply(msgspec.Struct, frozen=True):
    """GET /v1/source/{hash}/impact: the claims that rest on a source, and answers that rested on those.

    `answers` are ids of audits, the newest first, at most 100 for the claims of a page.
    """

    source: SourceOut
    claims: list[ClaimOut]
    next_cursor: str | None
    answers: list[str] = []


class VoteOut(msgspec.Struct, frozen=True):
    """A vote; `live` is its agent's last word."""

    id: str
    agent_id: str
    weight: float
    timestamp: int
    signature: str
    seq: int
    live: bool


class EndorsementOut(msgspec.Struct, frozen=True):
    """A signature that came after the claim."""

    agent_id: str
    signature: str
    timestamp: int
    seq: int


class TraceReply(msgspec.Struct, frozen=True):
    """GET /v1/trace/{hash}: where a claim comes from and what became of it; parents nearest first."""

    claim: ClaimOut
    parents: list[ClaimOut]
    children: list[ClaimOut]
    votes: list[VoteOut]
    endorsements: list[EndorsementOut]
    source: SourceOut | None
    epoch: EpochOut | None


class HealthReply(msgspec.Struct, frozen=True):
    """GET /v1/health; who asks through a proxy from outside gets no more than status and version."""

    status: str
    version: str
    assertions_count: int = 0
    seq: int = 0
    uptime_seconds: float = 0.0
    checks: dict[str, str] = {}
