"""A peer on a loopback socket that answers each request as told, or hangs up: what real networks do."""

from __future__ import annotations

import json
import socket
import threading
from typing import NamedTuple

HANG_UP = b""
EARLY = b"early:"  # before a reply: sent without reading the body, then the connection is closed
LINE_END = b"\r\n\r\n"
WAIT_S = 10


class Heard(NamedTuple):
    """One request as it arrived."""

    head: str
    body: bytes
    connection: int


def reply(status: int, body: object, *headers: str, content_type: str = "application/json") -> bytes:
    """Return the bytes of an HTTP reply; `body` becomes JSON unless it is bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [
        f"HTTP/1.1 {status} X",
        f"Content-Length: {len(content)}",
        f"Content-Type: {content_type}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + LINE_END + content


class Peer:
    """Listens on a free port; the n-th request gets the n-th reply, `HANG_UP` closes without one."""

    def __init__(self, *replies: bytes) -> None:
        """Listen at once."""
        self.heard: list[Heard] = []
        self._replies = list(replies)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Peer:  # noqa: PYI034 - typing.Self is not in Python 3.10
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(WAIT_S)

    def _serve(self) -> None:
        number = 0
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(WAIT_S)
                self._answer(connection, number)
            number += 1

    def _answer(self, connection: socket.socket, number: int) -> None:
        buffer = b""
        while self._replies:
            while LINE_END not in buffer:
                received = connection.recv(65536)
                if not received:
                    return
                buffer += received
            head, _, buffer = buffer.partition(LINE_END)
            length = next(
                (int(line[15:]) for line in head.split(b"\r\n") if line[:15] == b"Content-Length:"), 0
            )
            if self._replies[0].startswith(EARLY):
                connection.sendall(self._replies.pop(0).removeprefix(EARLY))
                return
            while len(buffer) < length:
                buffer += connection.recv(65536)
            self.heard.append(Heard(head.decode(), buffer[:length], number))
            buffer = buffer[length:]
            answer = self._replies.pop(0)
            if answer == HANG_UP:
                return
            connection.sendall(answer)
