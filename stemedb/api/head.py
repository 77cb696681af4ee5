"""The head of a request, as far as one must know it to tell where the request ends.

Stricter than cheroot's own parser, which sees the same bytes afterwards: two readings of where a body ends
are how requests are smuggled past a proxy, so whatever could be read in two ways is refused here.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from stemedb import limits
from stemedb.errors import HeadersTooLarge, Invalid, LengthRequired, StemedbError, TooLarge, UriTooLong

BULK_PATH: Final = "/v1/assert/bulk"

_END: Final = b"\r\n\r\n"
# Visible characters only: cheroot's parser drops tabs and line ends from a path, and would serve another one
# than a proxy saw and let through.
_LINE: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+ [!-~]+ HTTP/[0-9]\.[0-9]")
_FIELDS: Final = re.compile(rb"(?:\r\n[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[^\r\n\x00]*)*\r\n\r\n")
# Blanks around a value are taken off afterwards: a pattern that does it tries each run of blanks again from
# each of its places, which took 4 s for one head of 30 KiB.
_LENGTH: Final = re.compile(rb"\r\ncontent-length:([^\r\n]*)")
_REQUEST_ID: Final = re.compile(rb"\r\nx-request-id:([^\r\n]*)\r\n", re.IGNORECASE)
_ENCODING: Final = re.compile(rb"\r\ntransfer-encoding:([^\r\n]*)")
_BLANKS: Final = b" \t"
_LENGTH_DIGITS_MAX: Final = 15
_SOURCE: Final = (b"POST /v1/source ", b"POST /v1/source?")
_BULK: Final = (f"POST {BULK_PATH} ".encode(), f"POST {BULK_PATH}?".encode())


class Head(NamedTuple):
    """Where a request's head ends, and what follows it.

    `size` is in bytes; `length` is the body's (None without one); a streamed request is handed over before
    its body is there.
    """

    size: int
    length: int | None
    chunked: bool
    expects_continue: bool
    streamed: bool

    @property
    def total(self) -> int:
        """Bytes of head and body together."""
        return self.size + (self.length or 0)


def read_head(data: bytes | bytearray) -> Head | None:
    """Return the head at the start of `data`, or None while it is incomplete.

    Raises:
        StemedbError: the request cannot be read, or is over a limit (400, 411, 413, 414, 431).
    """
    end = data.find(_END)
    line_end = data.find(b"\r\n")
    if (line_end if line_end >= 0 else len(data)) > limits.URL_BYTES_MAX:
        raise UriTooLong(f"the request line is over {limits.URL_BYTES_MAX} bytes")
    if (end if end >= 0 else len(data)) - line_end > limits.HEADER_BYTES_MAX:
        raise HeadersTooLarge(f"the headers are over {limits.HEADER_BYTES_MAX} bytes")
    if end < 0:
        return None
    size = end + len(_END)
    if not _LINE.fullmatch(data, 0, line_end):
        raise Invalid("the request line is malformed", code="malformed_head")
    if not _FIELDS.fullmatch(data, line_end, size):
        raise Invalid("a header line is malformed", code="malformed_head")
    fields = bytes(data[line_end:size]).lower()
    streamed = data.startswith(_BULK)
    chunked = _is_chunked(fields)
    length = _content_length(fields)
    if error := _refusal(length, _body_bytes_max(data), chunked=chunked, streamed=streamed):
        raise error
    return Head(size, length, chunked, b"\r\nexpect: 100-continue\r\n" in fields, streamed)


def _body_bytes_max(data: bytes | bytearray) -> int:
    if data.startswith(_BULK):
        return limits.BULK_BYTES_MAX
    return limits.SOURCE_BODY_BYTES_MAX if data.startswith(_SOURCE) else limits.BODY_BYTES_MAX


def given_request_id(data: bytes | bytearray) -> str | None:
    """Return the request id in a head that may be incomplete or malformed, so that refusals carry it too."""
    found = _REQUEST_ID.search(data, 0, limits.URL_BYTES_MAX + limits.HEADER_BYTES_MAX)
    return found[1].strip(_BLANKS).decode("latin-1") if found else None


def _content_length(fields: bytes) -> int | None:
    found = {value.strip(_BLANKS) for value in _LENGTH.findall(fields)}
    if not found:
        return None
    text = found.pop()
    if found or not text.isdigit() or len(text) > _LENGTH_DIGITS_MAX:
        raise Invalid("Content-Length is not one whole number", code="malformed_head")
    return int(text)


def _is_chunked(fields: bytes) -> bool:
    found = [value.strip(_BLANKS) for value in _ENCODING.findall(fields)]
    if found and found != [b"chunked"]:
        raise Invalid("the only Transfer-Encoding understood is chunked", code="malformed_head")
    return bool(found)


def _refusal(length: int | None, most: int, *, chunked: bool, streamed: bool) -> StemedbError | None:
    if chunked and length is not None:
        return Invalid("a request has either Content-Length or Transfer-Encoding", code="malformed_head")
    if chunked and not streamed:
        return LengthRequired("this path takes a body with Content-Length only")
    if length is not None and length > most:
        return TooLarge(f"the body has {length} bytes, the limit is {most}")
    return None
