"""One connection: what has arrived of a request, and what is still to be sent of its reply.

A worker gets a connection only when a whole request lies in memory, and leaves its reply in memory: it never
waits for a client. Streamed requests (bulk) are the exception; they have workers of their own and read and
write the socket, with a minimum rate.
"""

from __future__ import annotations

import io
import logging
import socket
import time
from enum import Enum, auto
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from cheroot.server import HeaderReader, HTTPConnection, HTTPRequest

from stemedb import limits
from stemedb.api import problem
from stemedb.api.crowd import place_of
from stemedb.api.stream import ChunkedBody, LengthBody, StreamIn, StreamOut
from stemedb.errors import Invalid, StemedbError

if TYPE_CHECKING:
    from stemedb.api.gateway import Unfinished
    from stemedb.api.head import Head
    from stemedb.api.server import Server

FOREVER: Final = float("inf")
_NOTHING: Final = io.BytesIO()


class Stage(Enum):
    """What a connection waits for."""

    COLLECTING = auto()  # the rest of a request, or a first byte
    SERVING = auto()  # a worker; nobody else touches it
    SENDING = auto()  # the client, to take the rest of a reply
    LINGERING = auto()  # the client, to see a refusal before the connection goes


class _Fields(HeaderReader):
    """Header fields without X_Y, which WSGI takes for X-Y, and without Expect, which intake answered."""

    def _allow_header(self, key_name: bytes) -> bool:
        return key_name != b"Expect" and b"_" not in key_name


class Request(HTTPRequest):
    """cheroot's request, read from memory and refused in this service's own shape."""

    header_reader = _Fields()

    def parse_request(self) -> None:
        """Parse what intake collected; its sizes were checked there."""
        self.rfile = self.conn.rfile
        if self.read_request_line() and self.read_request_headers():  # type: ignore[no-untyped-call]
            self.ready = True
            self.close_connection = self.close_connection or self.conn.streams

    def respond(self) -> None:
        """Let the application answer; a streamed body is read as it arrives."""
        if not self.conn.streams:
            super().respond()
            return
        stream = self.conn.rfile
        length = int(self.inheaders.get(b"Content-Length", 0))
        self.rfile = ChunkedBody(stream) if self.chunked_read else LengthBody(stream, length)
        self.server.gateway(self).respond()
        self.ensure_headers_sent()
        if self.chunked_write:
            self.conn.wfile.write(b"0\r\n\r\n")

    def send_headers(self) -> None:
        """Send the reply's head; with a date that is made once a second, not once a reply."""
        self.outheaders.append((b"Date", self.server.date()))
        super().send_headers()

    def ensure_headers_sent(self) -> None:
        """Send the reply's head if that was not done; one that comes later has none yet."""
        if self.conn.unfinished is None:
            super().ensure_headers_sent()

    def simple_response(self, status: str, msg: str = "") -> None:
        """Send a problem document where cheroot would send plain text."""
        code = int(str(status)[:3])
        error: StemedbError = Invalid(msg or str(status)[4:], code="malformed_head")
        if code >= HTTPStatus.INTERNAL_SERVER_ERROR and code != HTTPStatus.HTTP_VERSION_NOT_SUPPORTED:
            error = StemedbError("the server failed while it answered")
        instance = problem.request_id(self.inheaders.get(b"X-Request-Id", b"").decode("latin-1"))
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


class Connection(HTTPConnection):
    """A client's connection; intake and workers hand it to each other, one owner at a time."""

    RequestHandlerClass = Request

    def __init__(self, server: Server, sock: socket.socket, address: tuple[Any, ...]) -> None:
        """Take over `sock`, which does not block."""
        super().__init__(server, sock, lambda *_: None)
        # cheroot keeps what they answer, in a circle that would keep the connection, too. Nobody asks here.
        del self.resolve_peer_creds, self.get_peer_creds
        self.fd = sock.fileno()
        host = str(address[0])
        # An IPv6 socket shows IPv4 clients in mapped form; logs and limits want the address itself.
        self.remote_addr = host[7:] if host.startswith("::ffff:") and "." in host else host
        self.remote_port = address[1]
        self.place = place_of(self.remote_addr)
        self.wfile: Outbox | StreamOut = Outbox()
        self.stage = Stage.COLLECTING
        self.collected: bytes | bytearray = b""
        self.head: Head | None = None
        self.held_bytes = 0  # of requests, as the crowd's totals have them
        self.since = 0.0  # when the present stage began, by time.monotonic()
        self.deadline = FOREVER  # when it ends at the latest
        self.streams = False
        self.pipelined = False  # the next request, or a part of it, came with the last one
        self.unsent = memoryview(b"")
        self.unsent_counted = 0
        self.keep = False
        self.unfinished: Unfinished | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing of a request has arrived."""
        return self.stage is Stage.COLLECTING and not self.collected

    @property
    def is_collecting(self) -> bool:
        """Whether it waits for its client to send, so that intake may end it."""
        return self.stage is Stage.COLLECTING or self.stage is Stage.LINGERING

    def wait(self, stage: Stage, timeout_s: float) -> None:
        """Enter `stage`, for `timeout_s` at most; the deadline first, because the sweep looks at any time."""
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
        """Answer one request and hand the connection back; what a worker does.

        Where the answer comes later, that happens in two steps, maybe of two workers.
        """
        try:
            keep = self._finish() if self.unfinished else bool(self.communicate())  # type: ignore[no-untyped-call]
        except OSError:
            keep = False
        if self.unfinished:
            # The last that is done here: the other step may begin before this returns.
            self.unfinished.reply.when_ready(self._go_on)
        else:
            self.rfile = _NOTHING  # a connection that waits, maybe for long, need not hold its last request
            self.server.intake.answered(self, keep=keep)

    def _go_on(self) -> None:
        self.server.requests.go_on(self)

    def _finish(self) -> bool:
        """Send the answer that is there now; say whether the connection may be kept."""
        assert self.unfinished is not None  # noqa: S101  (asked just before)
        unfinished, self.unfinished = self.unfinished, None
        self.server.laters.remove()
        try:
            unfinished.finish()
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001  (as `communicate` does it in the first step)
            self.server.error_log(repr(error), logging.ERROR)
            if not unfinished.request.sent_headers:
                unfinished.request.simple_response("500 Internal Server Error")
            return False
        return not unfinished.request.close_connection

    def close(self) -> None:
        """Close the socket; intake has forgotten it before, because the descriptor is free at once."""
        self.socket.close()
