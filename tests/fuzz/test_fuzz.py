"""Damaged input of every kind gets clean refusals. `FUZZ_SECONDS` in all, `SOAK_SECONDS` in a soak."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from tests.e2e.service import ServiceProcess
from tests.fuzz.mutating import fuzz
from tests.fuzz.targets import TARGETS

QUICK_SECONDS = float(os.environ.get("FUZZ_SECONDS", "30"))
SOAK_SECONDS = float(os.environ.get("SOAK_SECONDS", "600"))
PARTS = len(TARGETS) + 1  # the live server is one, too

REQUESTS = (
    b"GET /v1/query?subject=a&predicate=b&lens=consensus HTTP/1.1\r\nHost: x\r\nIf-None-Match: *\r\n\r\n",
    b"GET /v1/feed?after=0&limit=1 HTTP/1.1\r\nHost: x\r\nStemedb-Min-Seq: 1\r\n\r\n",
    b"GET /v1/audit/queries?cursor=AAAA HTTP/1.1\r\nAuthorization: Bearer x\r\nOrigin: null\r\n\r\n",
    b'POST /v1/assert HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{"subject":1}',
    b"POST /v1/assert/bulk HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{}\n\r\n0\r\n\r\n",
    b"PATCH /v1/source/00 HTTP/1.1\r\nContent-Length: 2\r\nX-PoW-Nonce: 1\r\nX-PoW-Timestamp: 1\r\n\r\n{}",
    b"OPTIONS /v1/alias HTTP/1.1\r\nAccess-Control-Request-Method: POST\r\nConnection: close\r\n\r\n",
)


Report = Callable[[str, int], None]


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str]) -> Report:
    def say(name: str, count: int) -> None:
        with capsys.disabled():
            print(f"\nfuzzed {name}: {count:,} executions", end="")  # the figure is the point

    return say


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    service = ServiceProcess(tmp_path_factory.mktemp("fuzzed")).start()
    yield service
    service.close()


def fuzz_server(service: ServiceProcess, duration_s: float) -> int:
    """Send damaged requests to a live server; whatever comes back is a whole reply without 500."""

    def take(data: bytes) -> None:
        with socket.create_connection(("127.0.0.1", service.port), timeout=30) as sock:
            reply = b""
            with suppress(ConnectionResetError, BrokenPipeError):
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
                while part := sock.recv(65536):
                    reply += part
        if reply:
            assert reply.startswith(b"HTTP/1.1 "), reply
            assert reply.split()[1] not in (b"500", b"503", b"504"), reply
            if not reply.startswith(b"HTTP/1.1 100 "):
                assert b"\r\nX-Request-Id: " in reply

    count = fuzz(take, REQUESTS, duration_s, inputs=5)
    assert service.get("/v1/health").json()["status"] == "healthy"
    assert '"unexpected"' not in service.log
    assert "a worker failed" not in service.log
    return count


@pytest.mark.parametrize("name", TARGETS)
def test_decoders_refuse_cleanly(name: str, report: Report) -> None:
    target = TARGETS[name]()
    report(name, fuzz(target.take, target.corpus, QUICK_SECONDS / PARTS))


def test_the_server_refuses_cleanly(server: ServiceProcess, report: Report) -> None:
    report("live server", fuzz_server(server, QUICK_SECONDS / PARTS))


@pytest.mark.soak
@pytest.mark.parametrize("name", TARGETS)
def test_decoders_refuse_cleanly_for_long(name: str, report: Report) -> None:
    target = TARGETS[name]()
    report(name, fuzz(target.take, target.corpus, SOAK_SECONDS / PARTS))


@pytest.mark.soak
def test_the_server_refuses_cleanly_for_long(server: ServiceProcess, report: Report) -> None:
    report("live server", fuzz_server(server, SOAK_SECONDS / PARTS))
