"""Hostile clients, each as a process of its own: `python -m tests.e2e.attackers NAME PORT`.

It says `ready` when its position is taken, then keeps attacking until it is ended. Attackers live at
127.0.0.2, the client that is measured at 127.0.0.1: as on a network, they are not at the same address.
"""

from __future__ import annotations

import gzip
import os
import resource
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import cycle
from typing import Final

from stemedb import limits

ADDRESS: Final = "127.0.0.2"
CONNECTIONS: Final = 10_000  # where the limit on descriptors allows
CROWD: Final = 64  # connections of an attack that is not about their number
PAUSE_S: Final = 0.001  # after each step: the attacker shares two processors with its victim
SEND_BYTES: Final = 64 * 1024
_NO_PORT: Final = 24  # IP_BIND_ADDRESS_NO_PORT, which Python does not name: connect chooses the port, quickly
_BULK_HEAD: Final = (
    b"POST /v1/assert/bulk HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


class Position:
    """The connections of an attacker; a lost one is made again when it is wanted next."""

    def __init__(self, port: int, opening: Sequence[bytes], count: int = CROWD) -> None:
        """Open `count` connections; each begins with the next of `opening`."""
        self.port = port
        self._opening: Iterator[bytes] = cycle(opening)
        self.socks = [sock for _ in range(count) if (sock := self.connect()) is not None]

    def connect(self) -> socket.socket | None:
        """Open one connection and send its beginning; None where the server does not take it now."""
        sock = socket.socket()
        sock.setsockopt(socket.IPPROTO_IP, _NO_PORT, 1)
        sock.bind((ADDRESS, 0))
        sock.settimeout(0.5)
        try:
            sock.connect(("127.0.0.1", self.port))
            sock.settimeout(0)
            if beginning := next(self._opening):
                sock.send(beginning)
        except OSError:
            sock.close()
            return None
        return sock

    def send(self, at: int, data: bytes) -> None:
        """Send `data` on a connection, read away what came, and replace it if it is lost."""
        if not self.socks:
            return
        at %= len(self.socks)
        sock = self.socks[at]
        try:
            with suppress(BlockingIOError):
                if not sock.recv(SEND_BYTES):
                    raise ConnectionResetError
            with suppress(BlockingIOError):
                sock.send(data)
        except OSError:
            sock.close()
            fresh = self.connect()
            if fresh is None:
                del self.socks[at]
            else:
                self.socks[at] = fresh


Attack = Callable[[int], tuple[Position, Callable[[int], bytes]]]


def slow_heads(port: int) -> tuple[Position, Callable[[int], bytes]]:
    """Send heads a byte at a time."""
    position = Position(port, [b"GET /v1/health HTTP/1.1\r\nHost: x\r\nX-A: "], 2000)
    return position, lambda _: b"a"


def slow_bodies(port: int) -> tuple[Position, Callable[[int], bytes]]:
    """Announce bodies of the largest size and send them a byte at a time."""
    head = b"POST /v1/assert HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n{"
    return Position(port, [head], 2000), lambda _: b" "


def connections(port: int) -> tuple[Position, Callable[[int], bytes]]:
    """Open as many connections as there can be, and open each that is lost again; send next to nothing."""
    return Position(port, [b""], CONNECTIONS), lambda _: b"\r\n"


def huge_heads(port: int) -> tuple[Position, Callable[[int], bytes]]:
    """Send heads just below and far above the limits."""
    field = b"X-A: " + b"a" * (limits.HEADER_BYTES_MAX - 64)
    whole = b"GET /livez HTTP/1.1\r\nHost: x\r\n" + field + b"\r\n\r\n"
    line = b"GET /" + b"a" * (2 * limits.URL_BYTES_MAX)
    return Position(port, [field, line], CROWD), lambda _: whole


def blank_heads(port: int) -> tuple[Position, Callable[[int], bytes]]:
    """Send header values with a run of blanks in them, which a careless pattern reads again and again."""
    names = (b"Content-Length", b"Transfer-Encoding", b"X-Request-Id", b"X-Forwarded-For")
    heads = [
        b"GET /livez HTTP/1.1\r\nHost: x\r\n%b: a%ba\r\n\r\n" % (name, b" " * (limits.HEADER_BYTES_MAX - 90))
        for name in names
    ]
    return Position(port, heads, 16), lambda at: heads[at % len(heads)]


def huge_bodies(port: int) -> tuple[Position, Callable[[int], bytes]]:
    """Send bodies of the largest size, all but the last byte; and announce far larger ones."""
    source = b"POST /v1/source HTTP/1.1\r\nHost: x\r\nContent-Length: 7340032\r\n\r\n"
    claim = b"POST /v1/assert HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n"
    large = b"POST /v1/assert HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n"
    return Position(port, [source, source, claim, large], 4 * CROWD), lambda _: b" " * SEND_BYTES


def endless_bodies(port: int) -> tuple[Position, Callable[[int], bytes]]:
    """Send chunked bodies that do not end: long lines, no lines, empty lines."""
    block = b"10000\r\n%b\r\n" % (b"x" * 0x10000)
    lines = b"4000\r\n%b\r\n" % (b"\n" * 0x4000)
    return Position(port, [_BULK_HEAD]), lambda at: lines if at % 8 == 7 else block


def chunk_bombs(port: int) -> tuple[Position, Callable[[int], bytes]]:
    """Send bodies in chunks of a byte, with extensions, and chunks that announce 4 GiB."""
    bombs = (b"1\r\nx\r\n" * 2000, b"1;a=%b\r\nx\r\n" % (b"b" * 200) * 200, b"ffffffff\r\n")
    return Position(port, [_BULK_HEAD], 16), lambda at: bombs[0] if at % 16 < 12 else bombs[at % 3]


def gzip_bombs(port: int) -> tuple[Position, Callable[[int], bytes]]:
    """Send bodies that grow a thousandfold when they are unpacked."""
    bomb = gzip.compress(bytes(16 << 20))
    head = (
        b"POST /v1/assert HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    )
    return Position(port, [head + bomb], 16), lambda _: head + bomb


def json_bombs(port: int) -> tuple[Position, Callable[[int], bytes]]:
    """Send JSON that is deep, JSON that is one number, and JSON with many faults."""
    bombs = [b"[" * 200_000, b'{"confidence":' + b"9" * 200_000, b'{"signatures":[' + b"0," * 60_000]
    requests = [
        b"POST /v1/assert HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(data), data)
        for data in bombs
    ]
    return Position(port, requests, 8), lambda at: requests[at % len(requests)]


def pipelines(port: int) -> tuple[Position, Callable[[int], bytes]]:
    """Send hundreds of requests at once on each connection and read little of what comes back."""
    many = b"GET /v1/concepts HTTP/1.1\r\nHost: x\r\n\r\n" * 200
    return Position(port, [many]), lambda _: many


def smuggling(port: int) -> tuple[Position, Callable[[int], bytes]]:
    """Send heads that two servers might read in two ways."""
    start = b"POST /v1/assert HTTP/1.1\r\nHost: x\r\n"
    inner = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    heads = [
        start + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
        start + b"Content-Length: 0\r\nContent-Length: 44\r\n\r\n" + inner,
        start + b"Content-Length: 1\r\n folded: x\r\n\r\n" + inner,
        start + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + inner,
        _BULK_HEAD + b"0;x\n\r\n" + inner,
        start.replace(b"\r\n", b"\n") + b"Content-Length: 0\n\n" + inner,
    ]
    return Position(port, heads, 16), lambda at: heads[at % len(heads)]


def odd_paths(port: int) -> tuple[Position, Callable[[int], bytes]]:
    """Ask for paths that are not what they look like, by hosts that are not this one."""
    paths = (
        b"//v1//admin/keys",
        b"/../../etc/passwd",
        b"/%2e%2e/%2e%2e/etc/passwd",
        b"/v1/%00",
        b"/%ff" * 900,
    )
    requests = [
        b"GET %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (path, host)
        for path in paths
        for host in (b"", b"evil.example", b"a" * 4000, b"x\r\nHost: y")
    ]
    return Position(port, requests, 16), lambda at: requests[at % len(requests)]


ATTACKS: Final[dict[str, Attack]] = {
    each.__name__: each
    for each in (
        slow_heads,
        slow_bodies,
        connections,
        huge_heads,
        blank_heads,
        huge_bodies,
        endless_bodies,
        chunk_bombs,
        gzip_bombs,
        json_bombs,
        pipelines,
        smuggling,
        odd_paths,
    )
}


def main(name: str, port: int) -> None:
    """Take the position, then attack until ended."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # An attacker has a machine of its own: what is measured is the server, not who gets the processor.
    os.nice(10)
    position, step = ATTACKS[name](port)
    sys.stdout.write(f"ready {len(position.socks)}\n")
    sys.stdout.flush()
    at = 0
    while True:
        position.send(at, step(at))
        at += 1
        time.sleep(PAUSE_S)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
