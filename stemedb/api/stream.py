"""Bodies that are read while they arrive: only bulk has them, on workers of its own, at a minimum rate."""

from __future__ import annotations

import io
import re
import socket
import time
from typing import Any, Final, Protocol

from stemedb import limits
from stemedb.errors import Invalid, TooLarge, TooSlow

_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n\Z")
_CHUNK_LINE_BYTES_MAX: Final = 256


class StreamIn(io.RawIOBase):
    """The bytes of a streamed request: first what intake collected, then the socket, at a minimum rate."""

    def __init__(self, collected: bytes, sock: socket.socket) -> None:
        """Read from `sock` (blocking, with a timeout) once `collected` is used up."""
        super().__init__()
        self._collected = memoryview(collected)
        self._socket = sock
        self._waited_s = 0.0
        self._received_bytes = 0

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401  (any writable buffer, as io has it)
        """Fill `buffer` with what is there; 0 at the end. Raises `TooSlow`."""
        if self._collected:
            size = min(len(buffer), len(self._collected))
            buffer[:size] = self._collected[:size]
            self._collected = self._collected[size:]
            return size
        began = time.monotonic()
        try:
            size = self._socket.recv_into(buffer)
        except TimeoutError:
            raise TooSlow(f"no byte of the body for {limits.BULK_IDLE_TIMEOUT_S:.0f} seconds") from None
        except OSError:
            return 0  # a lost client: what came whole stands, as at any other end
        # Only the waiting counts: while the server works, the client may not be able to send.
        self._waited_s += time.monotonic() - began
        self._received_bytes += size
        allowed_s = limits.BULK_IDLE_TIMEOUT_S + self._received_bytes / limits.BULK_RATE_BYTES_S_MIN
        if self._waited_s > allowed_s:
            raise TooSlow(f"the body came slower than {limits.BULK_RATE_BYTES_S_MIN} bytes a second")
        return size


class StreamOut:
    """The reply of a streamed request, written as it comes; a client must take it within the timeout."""

    def __init__(self, sock: socket.socket) -> None:
        """Write to `sock`, which blocks with a timeout."""
        self._socket = sock

    def write(self, data: bytes) -> int:
        """Send `data`."""
        self._socket.sendall(data)
        return len(data)


class Body(Protocol):
    """A body on its way in: `complete` says, after the end, whether the client sent all that it announced."""

    complete: bool

    def read1(self, size: int) -> bytes:
        """Return what is there, at most `size` bytes, waiting for one at least; empty at the end."""


class LengthBody:
    """A body whose length is known."""

    def __init__(self, stream: io.BufferedReader, length_bytes: int) -> None:
        """Read `length_bytes` from `stream`."""
        self._stream = stream
        self.remaining = length_bytes
        self.complete = length_bytes == 0

    def read1(self, size: int) -> bytes:
        """Return what is there; raises `TooSlow`."""
        if self.complete:
            return b""
        data = self._stream.read1(min(size, self.remaining))
        self.remaining -= len(data)
        self.complete = self.remaining == 0
        return data


class ChunkedBody:
    """A body in chunks (RFC 9112 7.1), however large each of them is."""

    def __init__(self, stream: io.BufferedReader) -> None:
        """Read from `stream`."""
        self._stream = stream
        self._chunk_remaining = 0
        self._total_bytes = 0
        self._chunks_count = 0
        self.complete = False

    def read1(self, size: int) -> bytes:
        """Return what is there. Raises `Invalid`, `TooLarge` or `TooSlow`."""
        if self.complete or (not self._chunk_remaining and not self._next_chunk()):
            return b""
        data = self._stream.read1(min(size, self._chunk_remaining))
        self._chunk_remaining -= len(data)
        if data and not self._chunk_remaining and self._stream.read(2) not in (b"\r\n", b""):
            raise Invalid("a chunk does not end where it said", code="malformed_body")
        return data

    def _next_chunk(self) -> bool:
        line = self._stream.readline(_CHUNK_LINE_BYTES_MAX)
        if not line:
            return False
        found = _CHUNK_SIZE.match(line)
        if not found:
            raise Invalid("a chunk's size is malformed", code="malformed_body")
        self._chunks_count += 1
        self._chunk_remaining = int(found[1], 16)
        self._total_bytes += self._chunk_remaining
        if self._total_bytes > limits.BULK_BYTES_MAX:
            raise TooLarge(f"the body is over {limits.BULK_BYTES_MAX} bytes")
        small_chunks = self._chunks_count - limits.BULK_CHUNKS_SMALL_MAX
        if small_chunks * limits.BULK_CHUNK_BYTES_MIN > self._total_bytes:
            raise Invalid(
                f"the chunks have less than {limits.BULK_CHUNK_BYTES_MIN} bytes on average",
                code="malformed_body",
                hint="Send larger chunks, or a Content-Length.",
            )
        # What may follow the last chunk, trailers, nobody reads: the connection closes after this reply.
        self.complete = self._chunk_remaining == 0
        return not self.complete
