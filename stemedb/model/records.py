"""The bodies of log records: what the fold reads and the feed shows.

A record's type is one byte in its frame; its body is the MessagePack array of the struct named here.
Types are never reused and bodies only grow at their end, so that every log ever written stays readable.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from stemedb.model.claim import Assertion, Signature


class RecordType(IntEnum):
    """The kinds of record, as the log's frames number them."""

    GENESIS = 1
    ASSERTION = 2
    ENDORSEMENT = 3


class AssertionRecord(msgspec.Struct, frozen=True, array_like=True):
    """A claim as first accepted, with the signatures that came with it (none in unsafe mode)."""

    assertion: Assertion
    signatures: tuple[Signature, ...]


class EndorsementRecord(msgspec.Struct, frozen=True, array_like=True):
    """Further signatures of a claim that is already in the log."""

    claim_id: bytes
    signatures: tuple[Signature, ...]


_encoder = msgspec.msgpack.Encoder()
_assertion_decoder = msgspec.msgpack.Decoder(AssertionRecord)
_endorsement_decoder = msgspec.msgpack.Decoder(EndorsementRecord)


def encode_assertion(canonical: bytes, signatures: tuple[Signature, ...]) -> bytes:
    """Return the body of an assertion record; the canonical bytes go in as they are."""
    return _encoder.encode((msgspec.Raw(canonical), signatures))


def decode_assertion(body: bytes) -> AssertionRecord:
    """Return the content of an assertion record's body."""
    return _assertion_decoder.decode(body)


def encode_endorsement(claim_id: bytes, signatures: tuple[Signature, ...]) -> bytes:
    """Return the body of an endorsement record."""
    return _encoder.encode((claim_id, signatures))


def decode_endorsement(body: bytes) -> EndorsementRecord:
    """Return the content of an endorsement record's body."""
    return _endorsement_decoder.decode(body)
