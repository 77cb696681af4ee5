"""Canonical bytes and content ids (claims.md 1).

Canonical bytes are a MessagePack array of the fields in their fixed order, each in its shortest form except
floats, which are always float64. An id is BLAKE3-256 of a domain line and the canonical bytes.
"""

from __future__ import annotations

import msgspec
from blake3 import blake3

from stemedb.model.claim import Assertion

ASSERTION_DOMAIN = b"stemedb:assertion:v1\n"

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Assertion)


def canonical_bytes(assertion: Assertion) -> bytes:
    """Return the one encoding of `assertion`; equal assertions give equal bytes and nothing else does."""
    return _encoder.encode(assertion)


def decode_canonical(canonical: bytes) -> Assertion:
    """Return the assertion that `canonical` encodes; raises `msgspec.ValidationError` for other bytes."""
    return _decoder.decode(canonical)


def assertion_id(canonical: bytes) -> bytes:
    """Return the 32-byte id of an assertion's canonical bytes."""
    return blake3(ASSERTION_DOMAIN + canonical).digest()
