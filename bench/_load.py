"""The load: a process of its own that sends prepared requests and times the replies.

`run_load` starts it. One thread, one epoll set, connections that are kept: what it costs is the same for
every server it is pointed at.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import subprocess
import sys
import time
from array import array
from collections.abc import Sequence
from itertools import cycle, islice
from typing import BinaryIO, NamedTuple

_RECV_BYTES = 1 << 18
_LENGTH = struct.Struct(">I")
_TIMEOUT_S = 120.0


class Load(NamedTuple):
    """How requests went: how many in how many seconds, and how long they took (milliseconds)."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    statuses: dict[str, int]

    @property
    def per_s(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def run_load(
    port: int, requests: Sequence[bytes], *, clients: int, seconds: float = 0.0, fails: bool = False
) -> Load:
    """Send `requests` from `clients` connections; with `seconds`, again and again for so long.

    Unless it `fails` knowingly, a reply that is no 2xx makes the figure worthless and raises `RuntimeError`.
    """
    load = start_load(port, requests, clients=clients, seconds=seconds)
    return finish_load(load, fails=fails)


def start_load(
    port: int, requests: Sequence[bytes], *, clients: int, seconds: float = 0.0
) -> subprocess.Popen[bytes]:
    """Start what `run_load` runs, and return while it runs."""
    child = subprocess.Popen(
        [sys.executable, "-m", "bench._load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdin is not None  # noqa: S101 - it is a pipe
    order = {"port": port, "clients": clients, "seconds": seconds, "requests": len(requests)}
    child.stdin.write(json.dumps(order).encode() + b"\n")
    for request in requests:
        child.stdin.write(_LENGTH.pack(len(request)))
        child.stdin.write(request)
    child.stdin.close()
    return child


def finish_load(child: subprocess.Popen[bytes], *, fails: bool = False) -> Load:
    """Wait for the load's end; return how it went."""
    assert child.stdout is not None  # noqa: S101 - it is a pipe
    said = child.stdout.read()
    if child.wait():
        raise RuntimeError(f"the load ended with {child.returncode}")
    load = Load(**json.loads(said))
    if not fails and any(not status.startswith("2") for status in load.statuses):
        raise RuntimeError(f"not every request was answered well: {load.statuses}")
    return load


class _Client:
    """One connection with one request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), _TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(0)
        self.fd = self.socket.fileno()
        self.unsent = memoryview(b"")
        self.received = b""
        self.began = 0.0

    def begin(self, request: bytes) -> bool:
        """Send a request; say whether all of it went out."""
        self.received = b""
        self.began = time.perf_counter()
        self.unsent = memoryview(request)
        return self.send()

    def send(self) -> bool:
        """Send what is left; say whether that was all."""
        try:
            while self.unsent:
                self.unsent = self.unsent[self.socket.send(self.unsent) :]
        except BlockingIOError:
            return False
        return True

    def status(self) -> str | None:
        """Return the reply's status once all of it is here."""
        data = self.socket.recv(_RECV_BYTES)
        self.received = self.received + data if self.received else data
        end = self.received.find(b"\r\n\r\n")
        if end >= 0:
            at = self.received.find(b"Content-Length: ", 0, end)
            if at >= 0:
                size = int(self.received[at + 16 : self.received.index(b"\r", at)])
                if len(self.received) < end + 4 + size:
                    return None
            elif not self.received.endswith(b"0\r\n\r\n"):  # in chunks
                return None
            return self.received[9:12].decode()
        return None if data else "cut"


def drive(port: int, requests: list[bytes], clients: int, seconds: float) -> Load:
    """Send `requests` once, or for `seconds` again and again; see `run_load`."""
    waiting = cycle(requests) if seconds else iter(requests)
    took = array("d")
    statuses: dict[str, int] = {}
    epoll = select.epoll()
    begun = {client.fd: client for client in (_Client(port) for _ in range(clients))}
    began = time.perf_counter()
    until = began + (seconds or _TIMEOUT_S)

    def start(client: _Client) -> None:
        request = next(islice(waiting, 1), None) if time.perf_counter() < until else None
        if request is None:
            epoll.unregister(client.fd)
            del begun[client.fd]
            client.socket.close()
        else:
            sent = client.begin(request)
            epoll.modify(client.fd, select.EPOLLIN if sent else select.EPOLLIN | select.EPOLLOUT)

    for client in list(begun.values()):
        epoll.register(client.fd, select.EPOLLIN)
        start(client)
    while begun:
        for fd, event in epoll.poll(_TIMEOUT_S):
            client = begun[fd]
            if event & select.EPOLLOUT and client.send():
                epoll.modify(fd, select.EPOLLIN)
            if not event & ~select.EPOLLOUT:
                continue
            status = client.status()
            if status is None:
                continue
            took.append((time.perf_counter() - client.began) * 1000)
            statuses[status] = statuses.get(status, 0) + 1
            if status == "cut" or b"Connection: close" in client.received[:1000]:
                again = _Client(port)
                epoll.unregister(fd)
                client.socket.close()
                del begun[fd]
                begun[again.fd] = again
                epoll.register(again.fd, select.EPOLLIN)
                client = again
            start(client)
    elapsed = time.perf_counter() - began
    ordered = sorted(took)
    return Load(
        len(took),
        elapsed,
        ordered[len(took) // 2],
        ordered[min(len(took) - 1, len(took) * 99 // 100)],
        statuses,
    )


def _read_order(stream: BinaryIO) -> tuple[dict[str, float], list[bytes]]:
    order = json.loads(stream.readline())
    requests = []
    for _ in range(int(order["requests"])):
        (size,) = _LENGTH.unpack(stream.read(_LENGTH.size))
        requests.append(stream.read(size))
    return order, requests


def main() -> None:
    """Do what the order on standard input says; print how it went."""
    order, requests = _read_order(sys.stdin.buffer)
    load = drive(int(order["port"]), requests, int(order["clients"]), order["seconds"])
    print(json.dumps(load._asdict()))


if __name__ == "__main__":
    main()
