"""The servers that are compared, each a process of its own on a loopback port and scratch folders."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 30.0
LARGE_MB = 1  # of the disk floor: a bench may run on a small disk


class Side(NamedTuple):
    """A running server."""

    name: str
    port: int
    pid: int


def free_port() -> int:
    """Return a loopback port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a folder on the disk of the checkout: a temporary file system would have no sync to wait for."""
    with tempfile.TemporaryDirectory(dir=".", prefix=".bench-") as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)  # PostgreSQL's account keeps a folder in it
        yield folder


@contextmanager
def served(name: str, command: list[str], port: int, env: Mapping[str, str] | None = None) -> Iterator[Side]:
    """Run a server until the `with` ends; its output goes to standard error when it does not start."""
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(
            command, env={**os.environ, **(env or {})}, stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
        try:
            if not _answers(child, port):
                log.seek(0)
                raise RuntimeError(f"{name} did not start:\n{log.read()[-4000:].decode(errors='replace')}")
            yield Side(name, port, child.pid)
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _answers(child: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + START_TIMEOUT_S
    while child.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as sock:
            sock.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            if sock.recv(64).startswith(b"HTTP/1.1 200 "):
                return True
        time.sleep(0.05)
    return False


@contextmanager
def stemedb(folder: Path, **settings: str) -> Iterator[Side]:
    """Run the service on `folder` with its defaults, at a log level at which a request writes no line.

    The no-op and the twins write none either.
    """
    port = free_port()
    env = {
        "STEMEDB_BIND_ADDR": f"127.0.0.1:{port}",
        "STEMEDB_WAL_DIR": str(folder / "wal"),
        "STEMEDB_DB_DIR": str(folder / "db"),
        "STEMEDB_DISK_FLOOR_MB": str(LARGE_MB),
        "STEMEDB_LOG": "warn",
        **settings,
    }
    with served("stemedb", [sys.executable, "-m", "stemedb.cli.server"], port, env) as side:
        yield side


@contextmanager
def noop(*, checks: bool = False) -> Iterator[Side]:
    """Run the same server with an application that answers a constant; with `checks`, to verified claims."""
    port = free_port()
    command = [sys.executable, "-m", "bench._noop", str(port)]
    with served("no-op", [*command, "checks"] if checks else command, port) as side:
        yield side


@contextmanager
def twin(kind: str, where: str) -> Iterator[Side]:
    """Run a twin over `postgres` or `sqlite`; `where` is a connection string, or a new file's path."""
    port = free_port()
    command = [sys.executable, "-m", "bench._twin", kind, str(port), where]
    with served(kind, command, port) as side:
        yield side
