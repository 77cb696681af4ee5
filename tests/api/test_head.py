"""Heads are read strictly: a request ends in one place only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemedb import limits
from stemedb.api.head import Head, read_head
from stemedb.errors import StemedbError

PLAIN = b"POST /v1/assert HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n"


def test_a_head_says_where_the_request_ends() -> None:
    assert read_head(PLAIN + b"hello") == Head(
        len(PLAIN), 12, chunked=False, expects_continue=False, streamed=False
    )
    assert read_head(b"GET / HTTP/1.1\r\n\r\n") == Head(
        18, None, chunked=False, expects_continue=False, streamed=False
    )


@given(st.integers(0, len(PLAIN) - 1))
def test_every_part_of_a_head_is_incomplete(size: int) -> None:
    assert read_head(PLAIN[:size]) is None


@pytest.mark.parametrize(
    ("path", "streamed"),
    [
        ("/v1/assert/bulk", True),
        ("/v1/assert/bulk?x=1", True),
        ("/v1/assert/bulky", False),
        ("/v1/assert", False),
        ("/v1/%61ssert/bulk", False),
    ],
)
def test_only_bulk_is_streamed(path: str, *, streamed: bool) -> None:
    head = read_head(f"POST {path} HTTP/1.1\r\nContent-Length: 1\r\n\r\n".encode())
    assert head is not None
    assert head.streamed == streamed


@pytest.mark.parametrize("size", [limits.BODY_BYTES_MAX, limits.BODY_BYTES_MAX + 1])
def test_the_body_limit_is_exact(size: int) -> None:
    head = PLAIN.replace(b"12", str(size).encode())
    if size <= limits.BODY_BYTES_MAX:
        assert read_head(head) is not None
    else:
        with pytest.raises(StemedbError) as refused:
            read_head(head)
        assert refused.value.status == 413


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        head = read_head(data + b"\r\n\r\n")
    except StemedbError:
        return
    assert head is None or head.size <= len(data) + 4
