"""The structs of the model: an assertion, its value, its signatures.

None of them can be part of a circle, so the collector of circles need not look at them: a question makes
thousands.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

ZERO_HASH = bytes(32)
"""The `source_hash` of a claim whose evidence is not registered."""


class ObjectKind(IntEnum):
    """What sort of value a claim's object is; the numbers are part of the canonical bytes."""

    TEXT = 0
    NUMBER = 1
    BOOLEAN = 2
    REFERENCE = 3


class Tier(IntEnum):
    """How authoritative a source is, most authoritative first; the numbers are canonical."""

    REGULATORY = 0
    CLINICAL = 1
    OBSERVATIONAL = 2
    EXPERT = 3
    COMMUNITY = 4
    ANECDOTAL = 5


class Lifecycle(IntEnum):
    """The stage of a claim, in order; the numbers are canonical."""

    PROPOSED = 0
    UNDER_REVIEW = 1
    APPROVED = 2
    DEPRECATED = 3
    REJECTED = 4


class Value(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The object of a claim. A number is always a float, even when integral."""

    kind: ObjectKind
    value: str | float | bool


class Assertion(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What somebody claims, in the canonical order of its twelve fields (claims.md 1).

    Hashes are raw bytes (32, `visual_hash` 8); `vector` is little-endian float32; `timestamp` is Unix
    seconds.
    """

    subject: str
    predicate: str
    object: Value
    confidence: float
    timestamp: int
    source_class: Tier = Tier.COMMUNITY
    source_hash: bytes = ZERO_HASH
    lifecycle: Lifecycle = Lifecycle.PROPOSED
    epoch: bytes | None = None
    parent_hash: bytes | None = None
    visual_hash: bytes | None = None
    vector: bytes | None = None


class Signature(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One agent's Ed25519 signature of a claim's id; `timestamp` is when it signed, in Unix seconds."""

    agent_id: bytes
    signature: bytes
    timestamp: int


class SignedAssertion(msgspec.Struct, frozen=True):
    """An assertion with the signatures that came with it."""

    assertion: Assertion
    signatures: tuple[Signature, ...] = ()
