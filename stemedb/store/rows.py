"""The values of the view: MessagePack rows, each closed by a CRC32C over its key and itself.

LMDB has no checksums of its own; including the key also catches a value that stands in the wrong place.
"""

from __future__ import annotations

from struct import Struct

import msgspec
from crc32c import crc32c

from stemedb.errors import Corrupt
from stemedb.model.claim import Assertion, Signature

_CRC = Struct(">I")
CRC_BYTES = _CRC.size

Buffer = bytes | memoryview

FLAG_ENDORSED = 0x01
"""The claim has signatures in `endorsements`: only then is that table looked at."""

REBUILD = (
    "stop the service, remove the files of the view (STEMEDB_DB_DIR) and start: it is rebuilt from the log"
)


class ClaimRow(msgspec.Struct, frozen=True, array_like=True):
    """A claim as the view keeps it; `recorded_at` in microseconds."""

    id: bytes
    seq: int
    recorded_at: int
    assertion: Assertion
    signatures: tuple[Signature, ...]


class Endorsement(msgspec.Struct, frozen=True, array_like=True):
    """A signature that came after the claim, and the `seq` of the record that brought it."""

    seq: int
    signature: bytes
    timestamp: int


class ViewState(msgspec.Struct, frozen=True, array_like=True):
    """Where the fold stands; written in the transaction of each batch."""

    log_id: bytes
    applied_seq: int
    recorded_at: int
    claims_count: int


_encoder = msgspec.msgpack.Encoder()
_claim_decoder = msgspec.msgpack.Decoder(ClaimRow)
_endorsement_decoder = msgspec.msgpack.Decoder(Endorsement)
_state_decoder = msgspec.msgpack.Decoder(ViewState)


def seal(key: bytes, payload: bytes) -> bytes:
    """Return `payload` with its checksum at the end."""
    return payload + _CRC.pack(crc32c(payload, crc32c(key)))


def unseal(table: str, key: Buffer, value: Buffer) -> Buffer:
    """Return the payload of `value`; raises `Corrupt` when the checksum does not fit."""
    payload = value[:-CRC_BYTES]
    if len(value) < CRC_BYTES or crc32c(payload, crc32c(key)) != _CRC.unpack(value[-CRC_BYTES:])[0]:
        detail = f"view table {table!r}, key {bytes(key).hex()}: the checksum does not fit"
        raise Corrupt(detail, code="corrupt_view", ways_out=(REBUILD,))
    return payload


def encode_claim(
    key: bytes, claim_id: bytes, seq: int, recorded_at: int, assertion: msgspec.Raw, signatures: msgspec.Raw
) -> bytes:
    """Return the value of a new claim: no flags, then its row."""
    return seal(key, b"\0" + _encoder.encode((claim_id, seq, recorded_at, assertion, signatures)))


def claim_flags(value: Buffer) -> int:
    """Return the flags of a claim's value."""
    return value[0]


def with_flag(key: bytes, value: Buffer, flag: int) -> bytes:
    """Return a claim's value with `flag` set."""
    payload = bytes(unseal("claims", key, value))
    return seal(key, bytes([payload[0] | flag]) + payload[1:])


def decode_claim(key: Buffer, value: Buffer) -> ClaimRow:
    """Return a claim's row; raises `Corrupt` when its checksum does not fit."""
    return _claim_decoder.decode(unseal("claims", key, value)[1:])


def encode_endorsement(key: bytes, seq: int, signature: Signature) -> bytes:
    """Return the value of an endorsement."""
    return seal(key, _encoder.encode((seq, signature.signature, signature.timestamp)))


def decode_endorsement(key: Buffer, value: Buffer) -> Endorsement:
    """Return an endorsement; raises `Corrupt` when its checksum does not fit."""
    return _endorsement_decoder.decode(unseal("endorsements", key, value))


def encode_state(key: bytes, state: ViewState) -> bytes:
    """Return the value that says where the fold stands."""
    return seal(key, _encoder.encode(state))


def decode_state(key: Buffer, value: Buffer) -> ViewState:
    """Return where the fold stands; raises `Corrupt` when the checksum does not fit."""
    return _state_decoder.decode(unseal("meta", key, value))
