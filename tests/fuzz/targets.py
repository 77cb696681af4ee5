"""What strangers' bytes meet first, with good inputs to begin from. A target that raises shows a fault."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import msgspec

from stemedb import limits
from stemedb.api.bulk import Line, lines_of
from stemedb.api.call import decode
from stemedb.api.head import given_request_id, read_head
from stemedb.api.stream import ChunkedBody, StreamIn
from stemedb.engine.shapes import AliasIn, EpochIn, EraseIn, GoldStandardIn, KeyIn, SourceIn, VoteIn
from stemedb.errors import StemedbError
from stemedb.log import Draft
from stemedb.log.frames import BadHeader, Header, decode_frames, decode_header, encode_batch, encode_header
from stemedb.log.frames import find_frames as find_whole_frames
from stemedb.model import assertion_id, canonical_bytes
from stemedb.model.statements_wire import epoch_from_wire, source_from_wire, vote_from_wire
from stemedb.model.wire import AssertionIn, assertion_from_wire, assertion_to_wire
from stemedb.query import PARAMETERS, Question, parse_question
from stemedb.query.cursor import decode_cursor, decode_place, encode_cursor, encode_place
from tests.e2e.signing import claim
from tests.log.helpers import body_of

NOW_S = 1_700_000_000
FRAMES_COUNT = 6


def refusal_of(read: Callable[[], object]) -> StemedbError | None:
    """Return how `read` refused, None if it did not; anything but a refusal goes on upwards."""
    try:
        read()
    except StemedbError as error:
        return error
    return None


class Target(NamedTuple):
    """A decoder and what it is given, before damage."""

    take: Callable[[bytes], None]
    corpus: Sequence[bytes]


def _frames() -> Target:
    drafts = [Draft(2, body_of(seq)) for seq in range(1, FRAMES_COUNT + 1)]
    whole, _ = encode_batch(drafts, 1, NOW_S, bytes(32))
    joined = b"".join(whole)

    def take(data: bytes) -> None:
        found, _ = decode_frames(data, 0, 1, FRAMES_COUNT)
        begin = 0
        for at, frame in enumerate(found):
            # Two checksums stand over a frame: what is taken for one is one.
            assert data[begin : frame.end] == whole[at]
            begin = frame.end
        for offset, seq, _ in find_whole_frames(memoryview(data), 0, 1):
            assert data[offset : offset + len(whole[seq - 1])] == whole[seq - 1]

    return Target(take, [joined, b"".join(whole[:2]), joined + bytes(64)])


def _headers() -> Target:
    good = encode_header(Header(bytes(16), 1, 0, bytes(32), NOW_S))

    def take(data: bytes) -> None:
        try:
            decode_header(data)
        except BadHeader:
            return
        assert data[: len(good)] == good

    return Target(take, [good])


def _claims() -> Target:
    decoder = msgspec.json.Decoder(AssertionIn)

    def take(data: bytes) -> None:
        if refused := refusal_of(lambda: assertion_from_wire(decode(decoder, data), default_timestamp=NOW_S)):
            assert refused.status in (400, 422), refused
            return
        signed = assertion_from_wire(decode(decoder, data), default_timestamp=NOW_S)
        content = canonical_bytes(signed.assertion)
        again = assertion_from_wire(decoder.decode(msgspec.json.encode(assertion_to_wire(signed.assertion))))
        assert assertion_id(canonical_bytes(again.assertion)) == assertion_id(content)

    values = (
        {"type": "Text", "value": "\u00e9 x"},
        {"Reference": "drug://x"},
        {"type": "Boolean", "value": True},
    )
    rich = claim(
        source_class="Clinical", lifecycle="Approved", vector=[0.5, -1.0], visual_hash="00ff00ff00ff00ff"
    )
    return Target(
        take, [json.dumps(each).encode() for each in (claim(), rich, *(claim(object=v) for v in values))]
    )


def _read_body(decoder: msgspec.json.Decoder[Any], read: Callable[[Any], object], data: bytes) -> None:
    read(decode(decoder, data))


def _statements() -> Target:
    ways: list[tuple[Any, Callable[[Any], object]]] = [
        (VoteIn, vote_from_wire),
        (EpochIn, epoch_from_wire),
        (SourceIn, lambda wire: source_from_wire(wire, NOW_S)),
        (AliasIn, repr),
        (GoldStandardIn, repr),
        (KeyIn, repr),
        (EraseIn, repr),
    ]
    decoders = [(msgspec.json.Decoder(shape), read) for shape, read in ways]

    def take(data: bytes) -> None:
        for decoder, read in decoders:
            refused = refusal_of(partial(_read_body, decoder, read, data))
            assert refused is None or refused.status in (400, 422), refused

    digits = "ab" * 32
    good = (
        {"assertion_hash": digits, "agent_id": digits, "weight": 1, "timestamp": 1, "signature": digits * 2},
        {"name": "e", "supersession": "Replace", "timestamp": 1, "agent_id": digits, "signature": digits * 2},
        {"source_hash": digits, "title": "t", "url": "https://x", "content": "YQ==", "status": "Active"},
        {"role": "reader", "name": "x", "agent_ids": [digits], "expires_at": 1},
        {"hashes": [digits], "reason": "r", "now": True},
    )
    return Target(take, [json.dumps(each).encode() for each in good])


def _cursors() -> Target:
    question = Question("a")
    good = [encode_cursor(question, 7, NOW_S, b"key"), encode_place("sources", b"\x01" * 32)]

    def take(data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        for read in (lambda: decode_cursor(text, question), lambda: decode_place("sources", text)):
            refused = refusal_of(read)
            assert refused.reason == "bad_cursor" if refused else text.rstrip("=") in good

    return Target(take, [each.encode() for each in good])


def _questions() -> Target:
    def take(data: bytes) -> None:
        given: dict[str, list[str]] = {}
        for name, value in parse_qsl(data.decode("utf-8", "replace"), keep_blank_values=True):
            given.setdefault(name, []).append(value)
        refused = refusal_of(lambda: parse_question(given, allowed=PARAMETERS))
        assert refused is None or refused.status == 400, refused

    good = (
        b"subject=a&predicate=b&lens=consensus&as_of=2026-01-31T12:00:00.123456789Z&min_confidence=0.5",
        b"subject=a&predicate=b&known_at=7&visual_near=00ff00ff00ff00ff&visual_threshold=8&decay=false",
        b"subject=a&predicate=*&since=3&limit=5&cursor=x&source_class=Clinical&source_class=Expert",
        b"subject=a&predicate=b&vector_near=0.1,1e5,-3&k=3&epoch=" + b"0a" * 32,
    )
    return Target(take, good)


def _heads() -> Target:
    def take(data: bytes) -> None:
        given_request_id(data)
        if refused := refusal_of(lambda: read_head(data)):
            assert refused.status in (400, 411, 413, 414, 431), refused
            return
        head = read_head(data)
        if head is None:
            assert b"\r\n\r\n" not in data
            return
        # What passed can be read in one way only.
        lines = data[: head.size].split(b"\r\n")
        assert lines[-2:] == [b"", b""]
        assert not any(b"\n" in each or b"\r" in each or b"\0" in each for each in lines)
        assert all(each[:1] not in (b" ", b"\t", b":") for each in lines[:-2])
        lengths = {
            each.partition(b":")[2].strip() for each in lines if each.lower().startswith(b"content-length:")
        }
        assert len(lengths) <= 1
        assert head.length == (int(lengths.pop()) if lengths else None)
        assert not (head.chunked and head.length is not None)

    good = (
        b"GET /v1/query?subject=a HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine\r\n\r\n",
        b"POST /v1/assert HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
        b"POST /v1/assert/bulk HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    )
    return Target(take, good)


def _bulk_lines() -> Target:
    def take(data: bytes) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.close()
            body = ChunkedBody(io.BufferedReader(StreamIn(data, ours), limits.BULK_READ_BYTES))
            found: list[Line] = []
            refused = refusal_of(lambda: found.extend(lines_of(body)))
        assert refused is None or refused.status in (400, 413), refused
        assert [line.number for line in found] == list(range(1, len(found) + 1))
        joined = b"\n".join(line.content or b"" for line in found)
        # Every line is in the body as it was sent, but for the sizes of the chunks it came in.
        assert len(joined) <= len(data)

    good = (
        b"a\r\n{}\n{}\n{}\n{\r\n2\r\n}\n\r\n0\r\n\r\n",
        b"1;x=y\r\n{\r\n1\r\n}\r\n1\r\n\n\r\n0\r\nTrailer: x\r\n\r\n",
        b"ffff\r\nshort",
    )
    return Target(take, good)


TARGETS: dict[str, Callable[[], Target]] = {
    "frames": _frames,
    "segment headers": _headers,
    "claims": _claims,
    "statements": _statements,
    "cursors": _cursors,
    "questions": _questions,
    "request heads": _heads,
    "bulk lines": _bulk_lines,
}
