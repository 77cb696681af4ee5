"""The keys of the view. Numbers are big-endian, so that byte order is number order.

One walk over a subject and predicate gives its claims newest first, and the smaller id first where
timestamps are equal: exactly the order of replies and of the tie rule, so that a page is a slice of the
walk.
"""

from __future__ import annotations

from struct import Struct

from blake3 import blake3

from stemedb.model.claim import Assertion

_U64 = Struct(">Q")
_U64_MAX = 2**64 - 1
_CLAIM_BYTES = 1 + _U64.size + 32
"""What follows the question in a claim's key: NUL, time, id."""

STATE = b"state"
"""The key in `meta` of where the fold stands."""

u64 = _U64.pack
"""Return a number as 8 bytes in number order."""


def claim_key(assertion: Assertion, claim_id: bytes) -> bytes:
    """Return the key under which a claim is kept."""
    prefix = question_prefix(assertion.subject, assertion.predicate)
    return prefix + _U64.pack(_U64_MAX - assertion.timestamp) + claim_id


def question_of(key: bytes) -> bytes:
    """Return the `question_key` of what a claim is about, by the claim's key."""
    return key[:-_CLAIM_BYTES]


def question_prefix(subject: str, predicate: str | None) -> bytes:
    """Return what all keys of a subject and predicate start with; of all predicates where it is None."""
    if predicate is None:
        return f"{subject}\0".encode()
    return f"{subject}\0{predicate}\0".encode()


def question_key(subject: str, predicate: str) -> bytes:
    """Return the key of a subject and predicate."""
    return f"{subject}\0{predicate}".encode()


def split_question(key: bytes) -> tuple[str, str]:
    """Return the subject and predicate of a `question_key`."""
    subject, _, predicate = key.partition(b"\0")
    return subject.decode(), predicate.decode()


def alias_key(subject: str, other: str) -> bytes:
    """Return the key of an alias; the other subject is hashed, since two whole ones would not fit."""
    return subject.encode() + b"\0" + blake3(other.encode()).digest(length=16)


def held_key(seq: int, *, rejected: bool) -> bytes:
    """Return the key of a claim's place in the quarantine, by the seq of its first record."""
    return bytes([rejected]) + _U64.pack(seq)


def anchor_key(agent_id: bytes, anchor: bytes, seq: int) -> bytes:
    """Return the key of a text of an agent below one hash of its sketch, the newest first."""
    return agent_id + anchor + _U64.pack(_U64_MAX - seq)


def owned(owner: bytes | int, seq: int) -> bytes:
    """Return the key of what happened to `owner` (an id, an agent, a claim's seq) at `seq`."""
    return (owner if isinstance(owner, bytes) else _U64.pack(owner)) + _U64.pack(seq)


def seq_of(key: bytes) -> int:
    """Return the seq that a key ends in."""
    return int(_U64.unpack(key[-_U64.size :])[0])
