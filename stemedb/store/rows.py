"""The rows of the view, as MessagePack arrays. `seq` is a position in the log, `timestamp` Unix seconds."""

from __future__ import annotations

import msgspec

from stemedb.model.claim import Assertion, Signature, Tier, Value
from stemedb.model.quarantine import Doubt, Scores
from stemedb.model.records import KeyRecord, SourceStatus
from stemedb.model.statements import Epoch, Supersession, Vote

ENDORSED = 0x01
"""The claim has signatures in `endorsements`."""
VOTED = 0x02
"""The claim has votes."""
PARENT = 0x04
"""The claim has children."""
RELEASED = 0x08
"""The claim came out of the quarantine: its record is a release."""


class ClaimRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A claim; `recorded_at` in microseconds. `flags` say which other tables hold more about it."""

    flags: int
    id: bytes
    seq: int
    recorded_at: int
    assertion: Assertion
    signatures: tuple[Signature, ...]
    by_admin: bool = False


class EndorsementRow(msgspec.Struct, frozen=True, array_like=True):
    """A signature that came after the claim."""

    seq: int
    signature: bytes
    timestamp: int


class VoteRow(msgspec.Struct, frozen=True, array_like=True):
    """A vote on a claim, and its agent's signature."""

    id: bytes
    vote: Vote
    signature: bytes


class EpochRow(msgspec.Struct, frozen=True, array_like=True):
    """An epoch, and its agent's signature."""

    id: bytes
    epoch: Epoch
    signature: bytes


class SupersededRow(msgspec.Struct, frozen=True, array_like=True):
    """That an epoch was superseded, by which other, and how."""

    by: bytes
    supersession: Supersession
    timestamp: int


class SourceRow(msgspec.Struct, frozen=True, array_like=True):
    """A piece of evidence, without its content."""

    seq: int
    title: str
    url: str | None
    source_class: Tier | None
    timestamp: int


class SourceStateRow(msgspec.Struct, frozen=True, array_like=True):
    """A source's status from a moment on."""

    status: SourceStatus
    timestamp: int


class AliasRow(msgspec.Struct, frozen=True, array_like=True):
    """That two subjects mean the same, seen from one of them: the other."""

    seq: int
    timestamp: int
    other: str


class JoinRow(msgspec.Struct, frozen=True, array_like=True):
    """An alias in the list of all: both subjects, in byte order."""

    first: str
    second: str
    timestamp: int


class GoldRow(msgspec.Struct, frozen=True, array_like=True):
    """What is settled about a subject and predicate."""

    id: bytes
    subject: str
    predicate: str
    object: Value
    timestamp: int


class TrustRow(msgspec.Struct, frozen=True, array_like=True):
    """An agent's trust (millionths) right after a judgement, made at `recorded_at` (microseconds)."""

    millionths: int
    accurate: int
    inaccurate: int
    recorded_at: int


class KeyRow(msgspec.Struct, frozen=True, array_like=True):
    """An API key; `revoked_seq` is 0 while it lives, `created_at` in microseconds."""

    key: KeyRecord
    seq: int
    created_at: int
    revoked_seq: int = 0

    def is_live(self, now_s: float) -> bool:
        """Say whether the key is neither revoked nor expired at `now_s` (Unix seconds)."""
        expires_at = self.key.expires_at
        return not self.revoked_seq and (expires_at is None or now_s < expires_at)


class QuotaRow(msgspec.Struct, frozen=True, array_like=True):
    """An agent's own quota (tokens for an hour), set at `set_at` (microseconds) with the API key `by`."""

    tokens: int
    seq: int
    set_at: int
    by: bytes


class HeldRow(msgspec.Struct, frozen=True, array_like=True):
    """A claim in quarantine; `seqs` are those of the records that hold it, `recorded_at` in microseconds."""

    rejected: bool
    seqs: tuple[int, ...]
    recorded_at: int
    assertion: Assertion
    signatures: tuple[Signature, ...]
    by_admin: bool
    sketch: bytes
    doubts: tuple[Doubt, ...]
    scores: Scores


ByTier = tuple[int, int, int, int, int, int]


class QuestionRow(msgspec.Struct, frozen=True, array_like=True):
    """How many claims a subject and predicate have, by tier."""

    by_tier: ByTier = (0, 0, 0, 0, 0, 0)


class ViewState(msgspec.Struct, frozen=True, array_like=True):
    """Where the fold stands; written in the transaction of each batch. `recorded_at` in microseconds."""

    log_id: bytes
    applied_seq: int
    recorded_at: int
    claims_count: int
