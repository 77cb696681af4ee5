"""A real `stemedb-api` process in a folder of its own, for any test that wants one."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, NamedTuple

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 15.0
_PORTS = (20_000, 32_000)  # below those that Linux gives away
_chance = random.SystemRandom()  # hypothesis gives everybody else the same numbers in each run
# Runs the program with descriptor 3 as the manager would pass it: LISTEN_PID must be the process's own.
_ADOPTING = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
"""


def free_port() -> int:
    """Return a port that nobody listens on now, on any address, and that no client is given for its end.

    Ports that the kernel gives away could be another test's before they are listened on.
    """
    while True:
        port = _chance.randrange(*_PORTS)
        with suppress(OSError), socket.create_server(("0.0.0.0", port)):  # noqa: S104 - closed at once
            return port


class CaseInsensitive(dict[str, str]):
    """Headers of a reply, found in any spelling."""

    def __init__(self, headers: list[tuple[str, str]]) -> None:
        """Keep `headers`."""
        super().__init__((name.lower(), value) for name, value in headers)

    def __getitem__(self, name: str) -> str:
        """Return a header's value."""
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        """Say whether the header was sent."""
        return super().__contains__(str(name).lower())


class Reply(NamedTuple):
    """One HTTP reply."""

    status: int
    headers: CaseInsensitive
    body: bytes

    def json(self) -> Any:  # noqa: ANN401  (JSON)
        """Return the body, decoded."""
        return json.loads(self.body)


class ServiceProcess:
    """A service that a test starts, asks, stops, kills and starts again on the same data."""

    def __init__(
        self,
        folder: Path,
        *,
        env: Mapping[str, str] | None = None,
        held_socket: bool = False,
        program: Sequence[str] = ("-m", "stemedb.cli.server"),
    ) -> None:
        """Keep data and log in `folder`; `held_socket` passes a listening socket, as systemd does."""
        self.folder = folder
        self.program = tuple(program)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024) if held_socket else None
        self.port = self.listener.getsockname()[1] if self.listener else free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = {
            "STEMEDB_BIND_ADDR": f"127.0.0.1:{self.port}",
            "STEMEDB_WAL_DIR": str(folder / "wal"),
            "STEMEDB_DB_DIR": str(folder / "db"),
            "STEMEDB_WAL_SEGMENT_BYTES": str(1024 * 1024),
            **(env or {}),
        }
        self.log_path = folder / "service.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The running process's id."""
        assert self.process is not None
        return self.process.pid

    @property
    def log(self) -> str:
        """Everything that the service has written so far, over all its starts."""
        return self.log_path.read_text() if self.log_path.exists() else ""

    def start(self, *, wait: bool = True) -> ServiceProcess:
        """Start the process; return when it is ready."""
        command = [sys.executable, *self.program]
        env = {**os.environ, **self.env}
        descriptors: tuple[int, ...] = ()
        if self.listener:
            descriptors = (self.listener.fileno(),)
            command = [sys.executable, "-S", "-c", _ADOPTING, str(descriptors[0]), *command]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                command, env=env, stderr=log, stdout=log, stdin=subprocess.DEVNULL, pass_fds=descriptors
            )
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self) -> None:
        """Wait until `/readyz` says so; fail with the log if the process ends instead."""
        assert self.process is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"the service ended:\n{self.log}"
            with suppress(OSError, HTTPException):
                if self.get("/readyz").status == 200:
                    return
            time.sleep(0.02)
        raise AssertionError(f"the service did not become ready:\n{self.log}")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask the process to end; return its status."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.wait()

    def kill(self) -> None:
        """End the process as a crash would."""
        self.stop(signal.SIGKILL)

    def wait(self) -> int:
        """Wait for the process's end; return its status."""
        assert self.process is not None
        return self.process.wait(STOP_TIMEOUT_S)

    def restart(self) -> ServiceProcess:
        """Stop and start again on the same data and port."""
        assert self.stop() == 0, self.log
        return self.start()

    def close(self) -> None:
        """End whatever still runs."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(STOP_TIMEOUT_S)
        if self.listener:
            self.listener.close()

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Make one request on a connection of its own."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Reply(response.status, CaseInsensitive(response.getheaders()), response.read())
        finally:
            connection.close()

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Reply:
        """GET `path`."""
        return self.request("GET", path, None, headers)

    def post(self, path: str, body: object, headers: Mapping[str, str] | None = None) -> Reply:
        """POST `body` as JSON (bytes are sent as they are)."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.request("POST", path, data, {"Content-Type": "application/json", **(headers or {})})

    def bulk(self, lines: list[bytes], headers: Mapping[str, str] | None = None) -> Reply:
        """POST `lines` to the bulk endpoint."""
        data = b"\n".join(lines) + b"\n"
        return self.request(
            "POST", "/v1/assert/bulk", data, {"Content-Type": "application/x-ndjson", **(headers or {})}
        )
