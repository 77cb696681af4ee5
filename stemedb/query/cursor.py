"""Cursors: where the next page begins, and the moment that all pages of one question share."""

from __future__ import annotations

import base64
import binascii

import msgspec
from blake3 import blake3
from crc32c import crc32c

from stemedb import limits
from stemedb.errors import Invalid
from stemedb.query.question import Question

VERSION = 1
_CRC_BYTES = 4


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """Version, which question, as known at which `seq`, by which clock (Unix seconds), after which key."""

    version: int
    question_hash: bytes
    seq: int
    clock_s: int
    last_key: bytes


_encoder = msgspec.msgpack.Encoder(order="deterministic")
_decoder = msgspec.msgpack.Decoder(Cursor)
_place_decoder = msgspec.msgpack.Decoder(tuple[int, str, bytes])


def encode_cursor(question: Question, seq: int, clock_s: int, last_key: bytes) -> str:
    """Return the text of a cursor: base64url of its fields and a checksum."""
    return _seal(_encoder.encode(Cursor(VERSION, question_hash(question), seq, clock_s, last_key)))


def decode_cursor(text: str, question: Question) -> Cursor:
    """Return what a cursor says; raises `Invalid` for one that is altered or belongs to another question."""
    body = _unseal(text)
    try:
        cursor = _decoder.decode(body or b"")
    except msgspec.DecodeError:
        raise Invalid.at("/cursor", _NO_CURSOR, code="bad_cursor", hint=_HINT) from None
    if cursor.version != VERSION or cursor.question_hash != question_hash(question):
        raise Invalid.at("/cursor", _OTHER_QUESTION, code="bad_cursor", hint=_HINT)
    return cursor


def question_hash(question: Question) -> bytes:
    """Return 8 bytes that tell questions apart; page size and position do not count."""
    bare = msgspec.structs.replace(question, cursor=None, at=None, limit=limits.PAGE_ITEMS_DEFAULT)
    return blake3(_encoder.encode(bare)).digest(length=8)


def encode_place(name: str, key: bytes) -> str:
    """Return the text of a cursor of the list `name` that stands behind `key`."""
    return _seal(_encoder.encode((VERSION, name, key)))


def decode_place(name: str, text: str) -> bytes:
    """Return the key that a list's cursor stands behind; raises `Invalid` for any other text."""
    body = _unseal(text)
    try:
        version, of, key = _place_decoder.decode(body or b"")
    except msgspec.DecodeError:
        raise Invalid.at("/cursor", _NO_CURSOR, code="bad_cursor", hint=_HINT) from None
    if version != VERSION or of != name:
        raise Invalid.at("/cursor", _OTHER_QUESTION, code="bad_cursor", hint=_HINT)
    return key


def _seal(body: bytes) -> str:
    sealed = body + crc32c(body).to_bytes(_CRC_BYTES, "big")
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def _unseal(text: str) -> bytes | None:
    """Return what was sealed, None where the text is no seal or was altered."""
    if len(text) > limits.CURSOR_BYTES_MAX or not text.isascii():
        return None
    try:
        sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        return None
    body, checksum = sealed[:-_CRC_BYTES], sealed[-_CRC_BYTES:]
    return body if crc32c(body).to_bytes(_CRC_BYTES, "big") == checksum else None


_NO_CURSOR = "this is not a cursor that the server gave"
_OTHER_QUESTION = "it belongs to another question"
_HINT = "Ask again without a cursor, or with exactly the parameters of the first page."
