"""Record 1: which log this is, since when, and whose."""

from __future__ import annotations

import os

import msgspec

from stemedb.log.frames import FORMAT_VERSION, LOG_ID_BYTES, chain_start, encode_batch
from stemedb.log.protocol import GENESIS_TYPE, Draft, Head


class Genesis(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of record 1, as MessagePack: log id (16 bytes), time in microseconds, Ed25519 public key."""

    log_id: bytes
    format: int
    time: int
    server_key: bytes


def new_log_id() -> bytes:
    """Give a random name for a new log."""
    return os.urandom(LOG_ID_BYTES)


def genesis_draft(log_id: bytes, time: int, server_key: bytes) -> Draft:
    """Give record 1 of a new log, made at `time` (microseconds)."""
    return Draft(GENESIS_TYPE, msgspec.msgpack.encode(Genesis(log_id, FORMAT_VERSION, time, server_key)))


def genesis_frame(log_id: bytes, time: int, server_key: bytes) -> tuple[bytes, Head]:
    """Give the frame of record 1 and the head after it."""
    frames, chain = encode_batch([genesis_draft(log_id, time, server_key)], 1, time, chain_start(log_id))
    return frames[0], Head(1, chain, time)


def decode_genesis(body: bytes) -> Genesis:
    """Read record 1's body.

    Raises:
        msgspec.ValidationError: it is not one.
    """
    return msgspec.msgpack.decode(body, type=Genesis)
