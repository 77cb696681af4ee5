"""The head of a log as its server vouches for it: signed, to be kept and held against the log later."""

from __future__ import annotations

import struct
from typing import Final

import msgspec

from stemedb.errors import Invalid
from stemedb.model.signing import Signer, verify_detached

HEAD_DOMAIN: Final = b"stemedb:head:v1\n"
_SEQ = struct.Struct(">Q")


class SignedHead(msgspec.Struct, frozen=True):
    """GET /v1/log/head: position, chain value (hex) and time (microseconds) of the last record.

    `signature` (hex) is the server's key's over `head_message`; the key stands in record 1 of the log too.
    """

    log_id: str
    seq: int
    chain: str
    time: int
    server_key: str
    signature: str


class ProofPage(msgspec.Struct, frozen=True):
    r"""GET /v1/log/proof: the hashes (hex) of the records from `first_seq` on; at most 10,000.

    The chain value after a record is BLAKE3(chain value before + its hash); before record 1 it is
    BLAKE3(`stemedb:log:v1\n` + log id).
    """

    log_id: str
    first_seq: int
    hashes: list[str]


def head_message(log_id: bytes, seq: int, chain: bytes, time: int) -> bytes:
    """Return the bytes that are signed: domain, log id (16), seq u64, chain (32), time u64; big-endian."""
    return HEAD_DOMAIN + log_id + _SEQ.pack(seq) + chain + _SEQ.pack(time)


def sign_head(signer: Signer, log_id: bytes, seq: int, chain: bytes, time: int) -> SignedHead:
    """Return a head signed by the server's key."""
    signature = signer.sign_message(head_message(log_id, seq, chain, time))
    return SignedHead(log_id.hex(), seq, chain.hex(), time, signer.agent_id.hex(), signature.hex())


def verify_head(head: SignedHead) -> None:
    """Check that a head's own key signed it; whose key that is, the caller must know.

    Raises:
        Invalid: it is no head, or its signature does not verify.
    """
    try:
        message = head_message(bytes.fromhex(head.log_id), head.seq, bytes.fromhex(head.chain), head.time)
        signature, key = bytes.fromhex(head.signature), bytes.fromhex(head.server_key)
    except (ValueError, struct.error) as error:
        raise Invalid(f"this is no head of a log: {error}", code="bad_head") from None
    if not verify_detached(message, signature, key):
        raise Invalid(
            "the head's signature does not verify: it was changed after it was signed", code="bad_head"
        )
