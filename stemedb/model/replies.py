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
    """What became of a claim: `status` is created, exists or endorsed."""

    hash: str
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


class HealthReply(msgspec.Struct, frozen=True):
    """GET /v1/health."""

    status: str
    version: str
    assertions_count: int
    seq: int
    uptime_seconds: float
    checks: dict[str, str]
