"""One connection: what has arrived of a request, and what is still to be sent of its reply.

A worker gets a connection only when a whole request lies in memory, and leaves its reply in memory: it never
waits for a client. Streamed requests (bulk) are the exception; they have workers of their own and read and
write the socket, with a minimum rate.
"""

from __future__ import annotations

import io
import socket
import time
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

from cheroot.server import HeaderReader, HTTPConnection, HTTPRequest

from stemedb import limits
from stemedb.api import problem
from stemedb.errors import Invalid, StemedbError, TooSlow

if TYPE_CHECKING:
    from stemedb.api.head import Head
    from stemedb.api.server import Server

FOREVER: Final = float("inf")


class Stage(Enum):
    """What a connection waits for."""

    COLLECTING = auto()  # the rest of a request, or a first byte
    SERVING = auto()  # a worker; nobody else touches it
    SENDING = auto()  # the client, to take the rest of a reply
    LINGERING = auto()  # the client, to see a refusal before the connection goes


class _Fields(HeaderReader):  # type: ignore[misc]  # cheroot's classes are untyped
    """Header fields without X_Y, which WSGI could not tell from X-Y, and without Expect: intake answered it."""

    def _allow_header(self, key_name: bytes) -> bool:
        return key_name != b"Expect" and b"_" not in key_name


class Request(HTTPRequest):  # type: ignore[misc]
    """cheroot's request, read from memory and refused in this service's own shape."""

    header_reader = _Fields()
    status: bytes | str

    def parse_request(self) -> None:
        """Parse what intake collected; its sizes were checked there."""
        self.rfile = self.conn.rfile
        if self.read_request_line() and self.read_request_headers():
            self.ready = True
            self.close_connection = self.close_connection or self.conn.streams

    def simple_response(self, status: str, msg: str = "") -> None:
        """Send a problem document where cheroot would send plain text."""
        code = int(str(status)[:3])
        error: StemedbError = Invalid(msg or str(status)[4:], code="malformed_head")
        if code >= 500 and code != 505:  # noqa: PLR2004  (an HTTP version we do not speak is the client's mistake)
            error = StemedbError("the server failed while it answered")
        instance = problem.request_id(None)
        self.conn.server.refused(error, instance, self.conn.remote_addr)
        self.close_connection = True
        self.sent_headers = True
        self.conn.wfile.write(problem.raw_reply(error, instance))


class Outbox:
    """The reply of a worker, kept until it can be sent in one piece."""

    def __init__(self) -> None:
        """Start empty."""
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        """Add `data` to the reply."""
        self._parts.append(data)
        return len(data)

    def take(self) -> bytes:
        """Return the whole reply and forget it."""
        parts, self._parts = self._parts, []
        return parts[0] if len(parts) == 1 else b"".join(parts)


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


class Connection(HTTPConnection):  # type: ignore[misc]
    """A client's connection; intake and workers hand it to each other, one owner at a time."""

    RequestHandlerClass = Request

    def __init__(self, server: Server, sock: socket.socket, address: tuple[Any, ...]) -> None:
        """Take over `sock`, which does not block."""
        super().__init__(server, sock, lambda *_: None)
        self.fd = sock.fileno()
        host = str(address[0])
        # An IPv6 socket shows IPv4 clients in mapped form; logs and limits want the address itself.
        self.remote_addr = host[7:] if host.startswith("::ffff:") and "." in host else host
        self.remote_port = address[1]
        self.wfile: Outbox | StreamOut = Outbox()
        self.stage = Stage.COLLECTING
        self.collected: bytes | bytearray = b""
        self.head: Head | None = None
        self.counted_bytes = 0  # of `collected`, as intake's total has them
        self.since = 0.0  # when the present stage began, by time.monotonic()
        self.deadline = FOREVER  # when it ends at the latest
        self.streams = False
        self.pipelined = False  # the next request, or a part of it, came with the last one
        self.unsent = memoryview(b"")
        self.unsent_counted = 0
        self.keep = False

    @property
    def idle(self) -> bool:
        """Whether nothing of a request has arrived."""
        return self.stage is Stage.COLLECTING and not self.collected

    def wait(self, stage: Stage, timeout_s: float) -> None:
        """Enter `stage`, for `timeout_s` at most. The deadline goes first: intake's sweep looks at any time."""
        self.since = time.monotonic()
        self.deadline = self.since + timeout_s
        self.stage = stage

    def begin_serving(self) -> None:
        """Make a whole request readable, and keep what came after it."""
        assert self.head is not None  # noqa: S101  (intake calls it with a head only)
        self.stage = Stage.SERVING
        self.deadline = FOREVER
        if len(self.collected) == self.head.total:
            self.rfile, self.collected = io.BytesIO(self.collected), b""
        else:
            self.rfile = io.BytesIO(self.collected[: self.head.total])
            self.collected = bytes(self.collected[self.head.total :])

    def begin_streaming(self) -> None:
        """Make the request readable as it arrives, from a worker that may wait."""
        self.stage = Stage.SERVING
        self.deadline = FOREVER
        self.streams = True
        self.socket.settimeout(limits.BULK_IDLE_TIMEOUT_S)
        stream = StreamIn(bytes(self.collected), self.socket)
        self.rfile = io.BufferedReader(stream, limits.BULK_READ_BYTES)
        self.collected = b""
        self.wfile = StreamOut(self.socket)

    def serve(self) -> None:
        """Answer one request and hand the connection back; what a worker does."""
        try:
            keep = bool(self.communicate())
        except OSError:
            keep = False
        self.server.intake.answered(self, keep=keep)

    def close(self) -> None:
        """Close the socket; intake has forgotten it before, because the descriptor is free at once."""
        self.socket.close()
