"""What the fold needs to know of a log record, and what it reads from the commonest kind of body."""

from __future__ import annotations

from typing import Protocol

import msgspec

from stemedb.model.canonical import assertion_id, decode_canonical
from stemedb.model.claim import Assertion, Signature
from stemedb.store.keys import claim_key


class FoldRecord(Protocol):
    """A record of the log; the log room's own `Record` is one."""

    @property
    def seq(self) -> int:
        """Its position in the log."""

    @property
    def recorded_at(self) -> int:
        """When it was accepted, in microseconds."""

    @property
    def type(self) -> int:
        """A `RecordType`, or one this version does not know."""

    @property
    def body(self) -> bytes:
        """MessagePack, by type; empty when erased."""

    @property
    def redacted(self) -> bool:
        """Whether it was erased."""


class _Parts(msgspec.Struct, array_like=True):
    """An assertion record with its parts as they stand in the log."""

    canonical: msgspec.Raw
    signatures: tuple[Signature, ...]
    by_admin: bool = False
    sketch: bytes = b""


_parts = msgspec.msgpack.Decoder(_Parts)


class ReadClaim(msgspec.Struct, frozen=True, gc=False):
    """An assertion record, read; `key` is the claim's in the view, `canonical` its encoding as it stands."""

    id: bytes
    key: bytes
    assertion: Assertion
    canonical: bytes
    signatures: tuple[Signature, ...]
    by_admin: bool
    sketch: bytes


def read_claim(body: bytes) -> ReadClaim:
    """Read the body of an assertion record, or of a release, which begins with the same fields."""
    parts = _parts.decode(body)
    canonical = bytes(parts.canonical)
    claim_id = assertion_id(canonical)
    assertion = decode_canonical(canonical)
    key = claim_key(assertion, claim_id)
    return ReadClaim(claim_id, key, assertion, canonical, parts.signatures, parts.by_admin, parts.sketch)
