"""Streamed bodies and their lines: what came whole is kept, however it was cut into pieces."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemedb import limits
from stemedb.api.bulk import chunks_of, lines_of
from stemedb.api.stream import ChunkedBody, LengthBody
from stemedb.errors import Invalid, TooLarge


class Pieces(io.RawIOBase):
    """Gives bytes piece by piece, as a network does."""

    def __init__(self, pieces: list[bytes]) -> None:
        super().__init__()
        self._pieces = [piece for piece in pieces if piece]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # any writable buffer
        if not self._pieces:
            return 0
        size = min(len(buffer), len(self._pieces[0]))
        buffer[:size] = self._pieces[0][:size]
        self._pieces[0] = self._pieces[0][size:]
        if not self._pieces[0]:
            self._pieces.pop(0)
        return size


def stream(pieces: list[bytes]) -> io.BufferedReader:
    return io.BufferedReader(Pieces(pieces), 64)


def read(body: LengthBody | ChunkedBody) -> bytes:
    return b"".join(iter(lambda: body.read1(50), b""))


@given(st.lists(st.binary(max_size=100)), st.integers(0, 20))
def test_length_body_reads_exactly_its_length(pieces: list[bytes], missing: int) -> None:
    content = b"".join(pieces)
    body = LengthBody(stream([*pieces, b"the next request"]), len(content))
    assert read(body) == content
    assert body.complete
    short = LengthBody(stream(pieces), len(content) + missing)
    assert read(short) == content
    assert short.complete == (missing == 0)


@given(st.lists(st.binary(min_size=1, max_size=100)), st.integers(1, 50))
def test_chunked_body_joins_its_chunks(chunks: list[bytes], cut: int) -> None:
    wire = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    body = ChunkedBody(stream([wire[start : start + cut] for start in range(0, len(wire), cut)]))
    assert read(body) == b"".join(chunks)
    assert body.complete
    cut_short = ChunkedBody(stream([wire[:-5]]))
    assert read(cut_short) == b"".join(chunks)
    assert not cut_short.complete


def test_chunks_over_the_limit_are_refused() -> None:
    with pytest.raises(TooLarge):
        read(ChunkedBody(stream([b"%x\r\n" % (limits.BULK_BYTES_MAX + 1)])))
    with pytest.raises(Invalid):
        read(ChunkedBody(stream([b"x" * 1000])))


@given(st.lists(st.binary(max_size=20).map(lambda each: each.replace(b"\n", b""))), st.integers(1, 30))
def test_lines_are_numbered_and_whole(contents: list[bytes], cut: int) -> None:
    data = b"".join(content + b"\n" for content in contents) + b"rest"
    pieces = [data[start : start + cut] for start in range(0, len(data), cut)]
    whole = list(lines_of(LengthBody(stream(pieces), len(data))))
    assert [line.content for line in whole] == [*contents, b"rest"]
    assert [line.number for line in whole] == list(range(1, len(contents) + 2))
    cut_off = list(lines_of(LengthBody(stream(pieces), len(data) + 1)))
    assert [line.content for line in cut_off] == contents


def test_chunks_of_lines_come_before_the_error() -> None:
    data = b"\n".join(b"%d" % number for number in range(limits.BULK_LINES_MAX + 5))
    numbers: list[int] = []
    with pytest.raises(TooLarge):  # noqa: PT012 - what was yielded before is the point
        for chunk in chunks_of(lines_of(LengthBody(io.BufferedReader(io.BytesIO(data)), len(data)))):
            assert len(chunk) <= limits.BULK_CHUNK_LINES_MAX
            numbers += [line.number for line in chunk]
    assert numbers == list(range(1, limits.BULK_LINES_MAX + 1))
