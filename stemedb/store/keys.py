"""The keys of the view. Numbers are big-endian, so that byte order is number order.

| table | key | value |
|---|---|---|
| `claims` | subject NUL predicate NUL inverted timestamp u64, id (32) | flags u8, row, CRC |
| `ids` | id (32) | the claim's key, CRC |
| `endorsements` | claim's seq u64, agent (32) | row, CRC |
| `moments` | seq u64 | `recorded_at` u64 (microseconds), CRC |
| `meta` | a name | a row, CRC |

A claim's key is at most 256 + 1 + 128 + 1 + 8 + 32 = 426 of LMDB's 511 bytes. One walk over a subject and
predicate gives its claims newest first, and the smaller id first where timestamps are equal: exactly the
order of replies and of the tie rule, so that a page is a slice of the walk.
"""

from __future__ import annotations

from struct import Struct

from stemedb.model.claim import Assertion

ID_BYTES = 32
_U64 = Struct(">Q")
_U64_MAX = 2**64 - 1


def claim_key(assertion: Assertion, claim_id: bytes) -> bytes:
    """Return the key under which a claim is kept."""
    return question_prefix(assertion.subject, assertion.predicate) + inverted(assertion.timestamp) + claim_id


def question_prefix(subject: str, predicate: str | None) -> bytes:
    """Return what all keys of a subject and predicate start with; all predicates where it is None."""
    if predicate is None:
        return subject.encode() + b"\0"
    return subject.encode() + b"\0" + predicate.encode() + b"\0"


def inverted(timestamp: int) -> bytes:
    """Return 8 bytes that sort newer timestamps first."""
    return _U64.pack(_U64_MAX - timestamp)


def u64(number: int) -> bytes:
    """Return a number as 8 bytes in number order."""
    return _U64.pack(number)


def endorsement_key(claim_seq: int, agent_id: bytes) -> bytes:
    """Return the key of an agent's later signature of a claim."""
    return _U64.pack(claim_seq) + agent_id


def number(sealed: bytes | memoryview) -> int:
    """Return the number in a payload of 8 bytes."""
    return int(_U64.unpack(sealed)[0])
