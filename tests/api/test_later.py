"""Writes that wait for the disk hold no thread: the real server, on a disk whose syncs can be held up."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from stemedb import limits
from stemedb.api.app import Application
from stemedb.api.later import LaterBody
from stemedb.api.server import Server
from stemedb.api.service import Service
from stemedb.client.signing import encode, sign
from stemedb.engine import Engine, EngineSettings, open_engine
from stemedb.guard import Guards, GuardSettings
from stemedb.model import Assertion, ObjectKind, Value
from stemedb.telemetry import Telemetry, make_logger
from tests.builders import SIGNERS

NOW_S = 1_760_000_000
WRITERS = limits.HTTP_WORKERS * 2
TIMEOUT_S = 60.0


class Disk:
    """Holds syncs up while `slow`, and can be told to fail the next."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.free.set()
        self.fails = False

    def at(self, point: str) -> None:
        if point == "before_sync":
            self.free.wait(TIMEOUT_S)
            if self.fails:
                raise OSError("the disk is gone")


class Running(NamedTuple):
    """A server with all that is behind it."""

    service: Service
    engine: Engine
    server: Server
    port: int
    disk: Disk


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    disk, telemetry = Disk(), Telemetry()
    logger = make_logger(logging.CRITICAL, lambda _line: None)
    service = Service(telemetry, logger, Guards(GuardSettings()), lambda: None)
    settings = EngineSettings(tmp_path / "wal", tmp_path / "db", tmp_path / "keys", 1 << 20, disk_floor_mb=1)
    engine = open_engine(settings, telemetry=telemetry, faults=disk)
    service.serve(engine)
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        server = Server(listener, Application(service), service, adopted=False, turns=service.turns)
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        yield Running(service, engine, server, listener.getsockname()[1], disk)
        disk.free.set()
        server.drain()
        thread.join(TIMEOUT_S)
    engine.close()


def claim(number: int) -> bytes:
    value = Value(ObjectKind.NUMBER, float(number))
    content = Assertion("later", "is", value, 0.5, NOW_S)
    return encode(sign(content, SIGNERS[number % len(SIGNERS)]))[0]


def begin(port: int, number: int) -> HTTPConnection:
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    connection.request("POST", "/v1/assert", claim(number), {"Content-Type": "application/json"})
    return connection


def get(port: int, path: str) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    connection.request("GET", path)
    reply = connection.getresponse()
    found = reply.status, reply.read()
    connection.close()
    return found


def until(true: Callable[[], bool]) -> None:
    waited = threading.Event()
    for _ in range(int(TIMEOUT_S / 0.01)):
        if true():
            return
        waited.wait(0.01)
    raise AssertionError("it never came true")


def test_more_writes_than_threads_wait_for_the_disk_and_reads_go_on(running: Running) -> None:
    running.disk.free.clear()
    writers = [begin(running.port, number) for number in range(WRITERS)]
    until(lambda: running.server.laters.count == WRITERS)
    assert get(running.port, "/v1/health")[0] == 200
    assert get(running.port, "/v1/query?subject=later&predicate=is")[0] == 200
    until(lambda: running.server.requests.busy_count() == 0)
    running.disk.free.set()
    assert [writer.getresponse().status for writer in writers] == [201] * WRITERS
    for writer in writers:
        writer.close()
    assert running.server.laters.count == 0
    assert running.engine.view.claims_count == WRITERS


def test_beyond_the_limit_writes_wait_in_threads(running: Running) -> None:
    with ExitStack() as held:
        for _ in range(limits.LATERS_MAX):
            assert running.server.laters.add()
            held.callback(running.server.laters.remove)
        running.disk.free.clear()
        writers = [begin(running.port, number) for number in range(4)]
        until(lambda: running.engine.queued + running.server.requests.busy_count() >= 4)
        assert get(running.port, "/livez")[0] == 200
        running.disk.free.set()
        assert [writer.getresponse().status for writer in writers] == [201] * 4
        for writer in writers:
            writer.close()


def test_a_client_that_leaves_before_its_answer_costs_nothing(running: Running) -> None:
    running.disk.free.clear()
    gone = begin(running.port, 1)
    until(lambda: running.server.laters.count == 1)
    gone.close()
    running.disk.free.set()
    until(lambda: running.server.laters.count == 0)
    until(lambda: running.server.intake.connections_count == 0)
    assert running.engine.view.claims_count == 1


def test_a_failed_sync_reaches_whoever_waits(running: Running) -> None:
    running.disk.free.clear()
    writers = [begin(running.port, number) for number in range(3)]
    until(lambda: running.server.laters.count == 3)
    running.disk.fails = True
    running.disk.free.set()
    assert {writer.getresponse().status for writer in writers} <= {500, 503, 507}
    for writer in writers:
        writer.close()
    assert running.engine.failed.wait(TIMEOUT_S)  # who waited is told first
    assert running.engine.view.claims_count == 0


def test_any_wsgi_server_can_go_through_a_reply_that_comes_later(running: Running) -> None:
    body, begun = claim(7), list[tuple[str, dict[str, str]]]()
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/v1/assert",
        "QUERY_STRING": "",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": BytesIO(body),
    }
    running.disk.free.clear()
    application = Application(running.service)
    reply = application(environ, lambda status, headers, _: begun.append((status, dict(headers))))
    assert isinstance(reply, LaterBody)
    assert not begun
    threading.Timer(0.1, running.disk.free.set).start()
    found = b"".join(reply)
    ((status, headers),) = begun
    assert status == "201 Created"
    assert headers["Content-Length"] == str(len(found))
    assert headers["Stemedb-Seq"] == str(running.engine.view.applied_seq)
    assert running.engine.view.claims_count == 1
