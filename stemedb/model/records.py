"""The bodies of log records: what the fold reads and the feed shows.

A record's type is one byte in its frame; its body is the MessagePack array of the struct named here.
Types are never reused and bodies only grow at their end, so that every log ever written stays readable.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, TypeVar

import msgspec

from stemedb.model.claim import Assertion, Signature, Tier, Value
from stemedb.model.keys import Role
from stemedb.model.quarantine import Doubt, Scores
from stemedb.model.statements import Epoch, Vote


class RecordType(IntEnum):
    """The kinds of record, as the log's frames number them."""

    GENESIS = 1
    ASSERTION = 2
    ENDORSEMENT = 3
    VOTE = 4
    EPOCH = 5
    SOURCE = 6
    SOURCE_STATUS = 7
    ALIAS = 8
    GOLD_STANDARD = 9
    JUDGEMENT = 10
    ERASURE = 11
    KEY = 12
    KEY_REVOCATION = 13
    QUOTA = 14
    QUARANTINE = 15
    RELEASE = 16
    REJECTION = 17


class SourceStatus(IntEnum):
    """How far the evidence behind claims is still believed."""

    ACTIVE = 0
    DISPUTED = 1
    RETRACTED = 2


class AssertionRecord(msgspec.Struct, frozen=True, array_like=True):
    """A claim as first accepted, with the signatures that came with it (none in unsafe mode).

    `by_admin`: it came with an admin key, so that it may end another agent's claim. `sketch`: that of its
    text, empty where content was not looked at.
    """

    assertion: Assertion
    signatures: tuple[Signature, ...]
    by_admin: bool = False
    sketch: bytes = b""


class EndorsementRecord(msgspec.Struct, frozen=True, array_like=True):
    """Further signatures of a claim that is already in the log."""

    claim_id: bytes
    signatures: tuple[Signature, ...]


class VoteRecord(msgspec.Struct, frozen=True, array_like=True):
    """A vote and its agent's signature (64 bytes)."""

    vote: Vote
    signature: bytes


class EpochRecord(msgspec.Struct, frozen=True, array_like=True):
    """An epoch and its agent's signature (64 bytes; empty in unsafe mode)."""

    epoch: Epoch
    signature: bytes


class SourceRecord(msgspec.Struct, frozen=True, array_like=True):
    """Evidence that claims name by its hash; `timestamp` in Unix seconds."""

    source_hash: bytes
    title: str
    url: str | None
    source_class: Tier | None
    status: SourceStatus
    content: str | None
    timestamp: int


class SourceStatusRecord(msgspec.Struct, frozen=True, array_like=True):
    """A change of a source's status from `timestamp` (Unix seconds) on."""

    source_hash: bytes
    status: SourceStatus
    timestamp: int


class AliasRecord(msgspec.Struct, frozen=True, array_like=True):
    """Two subjects that mean the same, in byte order, from `timestamp` (Unix seconds) on."""

    first: str
    second: str
    timestamp: int


class GoldStandardRecord(msgspec.Struct, frozen=True, array_like=True):
    """What an administrator holds to be settled about a subject and predicate."""

    subject: str
    predicate: str
    object: Value
    timestamp: int


class JudgementRecord(msgspec.Struct, frozen=True, array_like=True):
    """An agent's newest claim, held against a gold standard: accurate or not."""

    gold_id: bytes
    agent_id: bytes
    claim_id: bytes
    accurate: bool


class ErasureRecord(msgspec.Struct, frozen=True, array_like=True):
    """Payloads that are gone: their ids, the `seq`s of the records that held them, and why."""

    ids: tuple[bytes, ...]
    seqs: tuple[int, ...]
    reason: str
    by: str


class KeyRecord(msgspec.Struct, frozen=True, array_like=True):
    """An API key: never its secret. `expires_at` in Unix seconds.

    Where `agent_ids` are given, it may only write what one of them signed; `best_tier` is the most
    authoritative class its claims may have.
    """

    secret_hash: bytes
    role: Role
    name: str
    expires_at: int | None
    agent_ids: tuple[bytes, ...]
    best_tier: Tier | None


class KeyRevocationRecord(msgspec.Struct, frozen=True, array_like=True):
    """The end of an API key, named by its id."""

    key_id: bytes


class QuotaRecord(msgspec.Struct, frozen=True, array_like=True):
    """What one agent has of the meter from now on: tokens for an hour, None for what everybody has.

    `by`: the id of the API key it came with, empty where there was none.
    """

    agent_id: bytes
    tokens: int | None
    by: bytes


class QuarantineRecord(msgspec.Struct, frozen=True, array_like=True):
    """A claim that nobody sees for now, as it came, and why; again for further signatures of the same."""

    assertion: Assertion
    signatures: tuple[Signature, ...]
    by_admin: bool
    sketch: bytes
    doubts: tuple[Doubt, ...]
    scores: Scores


class ReleaseRecord(msgspec.Struct, frozen=True, array_like=True):
    """A claim that leaves the quarantine: from here on it is a claim like any other.

    `by`: the id of the API key it was approved with, empty where there was none.
    """

    assertion: Assertion
    signatures: tuple[Signature, ...]
    by_admin: bool
    sketch: bytes
    by: bytes


class RejectionRecord(msgspec.Struct, frozen=True, array_like=True):
    """A claim that stays in quarantine for good; `by` as in a release."""

    claim_id: bytes
    by: bytes


Body = (
    AssertionRecord
    | EndorsementRecord
    | VoteRecord
    | EpochRecord
    | SourceRecord
    | SourceStatusRecord
    | AliasRecord
    | GoldStandardRecord
    | JudgementRecord
    | ErasureRecord
    | KeyRecord
    | KeyRevocationRecord
    | QuotaRecord
    | QuarantineRecord
    | ReleaseRecord
    | RejectionRecord
)

BODIES: Mapping[RecordType, type[Body]] = {
    RecordType.ASSERTION: AssertionRecord,
    RecordType.ENDORSEMENT: EndorsementRecord,
    RecordType.VOTE: VoteRecord,
    RecordType.EPOCH: EpochRecord,
    RecordType.SOURCE: SourceRecord,
    RecordType.SOURCE_STATUS: SourceStatusRecord,
    RecordType.ALIAS: AliasRecord,
    RecordType.GOLD_STANDARD: GoldStandardRecord,
    RecordType.JUDGEMENT: JudgementRecord,
    RecordType.ERASURE: ErasureRecord,
    RecordType.KEY: KeyRecord,
    RecordType.KEY_REVOCATION: KeyRevocationRecord,
    RecordType.QUOTA: QuotaRecord,
    RecordType.QUARANTINE: QuarantineRecord,
    RecordType.RELEASE: ReleaseRecord,
    RecordType.REJECTION: RejectionRecord,
}

AnyBody = TypeVar("AnyBody", bound=Body)

_encoder = msgspec.msgpack.Encoder()
_decoders: Mapping[int, msgspec.msgpack.Decoder[Any]] = {
    kind: msgspec.msgpack.Decoder(body) for kind, body in BODIES.items()
}
_types: Mapping[type[Body], RecordType] = {body: kind for kind, body in BODIES.items()}


def encode_body(body: Body) -> bytes:
    """Return a record's body as it goes into the log."""
    return _encoder.encode(body)


def type_of(body: Body) -> RecordType:
    """Return the type under which a body goes into the log."""
    return _types[type(body)]


def decode_body(record_type: int, body: bytes) -> Body | None:
    """Return what a record's body says; None for the genesis and for types of later versions."""
    decoder = _decoders.get(record_type)
    return None if decoder is None else decoder.decode(body)


def encode_assertion(
    canonical: bytes, signatures: tuple[Signature, ...], *, by_admin: bool = False, sketch: bytes = b""
) -> bytes:
    """Return the body of an assertion record; the canonical bytes go in as they are."""
    fields = (msgspec.Raw(canonical), signatures, by_admin)
    return _encoder.encode((*fields, sketch) if sketch else fields)
