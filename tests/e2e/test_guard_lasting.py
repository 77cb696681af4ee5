"""What guards hold over time: keys over crashes, an end that reaches a running stream, a pace, a way back."""

from __future__ import annotations

import json
import re
import shutil
import socket
import time
from contextlib import closing
from pathlib import Path

import pytest

from stemedb import limits
from stemedb.guard.rules import Pace
from tests.e2e.conftest import ServerFactory
from tests.e2e.guarded import Guarded
from tests.e2e.service import Reply, ServiceProcess
from tests.e2e.signing import OTHER, SIGNER, claim, line


def count(service: ServiceProcess, header: dict[str, str]) -> int:
    found: int = service.get("/v1/health", header).json()["assertions_count"]
    return found


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def test_keys_and_their_ends_outlive_a_crash_and_the_view(tmp_path: Path) -> None:
    """Keys are records of the log: what is made from it knows them all, and knows which have ended."""
    own = Guarded(tmp_path / "own")
    try:
        kept, revoked = own.make_key("writer", name="kept"), own.make_key("admin", name="gone")
        assert own.revoke(revoked["id"]).status == 204
        before = own.service.get("/v1/admin/keys", own.header(own.root)).json()["keys"]
        own.service.kill()
        shutil.rmtree(tmp_path / "own" / "db")
        own.service.start()
        assert own.service.get("/v1/admin/keys", own.header(own.root)).json()["keys"] == before
        assert own.service.post("/v1/assert", claim(), own.header(kept["key"])).status == 201
        assert own.service.get("/v1/admin/keys", own.header(revoked["key"])).status == 401
    finally:
        own.service.close()


def test_revoking_a_key_ends_the_stream_that_it_began(tmp_path: Path) -> None:
    own = Guarded(tmp_path / "own")
    key, service, first = own.make_key("writer"), own.service, limits.BULK_CHUNK_LINES_MAX
    head = (
        "POST /v1/assert/bulk HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
        f"X-API-Key: {key['key']}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    try:
        with closing(socket.create_connection(("127.0.0.1", service.port), timeout=40)) as sock:
            sock.sendall(head.encode() + chunk(b"".join(line(at) + b"\n" for at in range(first))))
            deadline = time.monotonic() + 30
            while count(service, own.header(own.root)) < first and time.monotonic() < deadline:
                time.sleep(0.02)
            assert own.revoke(key["id"]).status == 204
            sock.sendall(chunk(line(first) + b"\n" + line(first + 1) + b"\n") + b"0\r\n\r\n")
            received = b""
            while part := sock.recv(65536):
                received += part
        assert count(service, own.header(own.root)) == first
    finally:
        service.close()
    results = [json.loads(each) for each in re.findall(rb'{"line".*}', received)]
    assert [each.get("status") for each in results[:first]] == ["created"] * first
    assert [each["problem"]["status"] for each in results[first:]] == [401, 401]


def test_many_keys_are_still_one_agent(tmp_path: Path) -> None:
    """What an agent signed is charged to the agent, whichever key carries it."""
    own = Guarded(tmp_path / "own", METER_ENABLED="true", METER_QUOTA="100")
    try:
        headers = [own.header(own.make_key("writer")["key"]) for _ in range(5)]
        replies = [
            own.service.post("/v1/assert", claim(subject=f"keys/{number}"), headers[number % len(headers)])
            for number in range(15)
        ]
        assert [reply.status for reply in replies] == [201] * 10 + [429] * 5
        other = own.service.post("/v1/assert", claim(OTHER, subject="keys/other"), headers[0])
        assert other.status == 201
    finally:
        own.service.close()


def test_a_key_has_one_pace_wherever_it_is_used(tmp_path: Path) -> None:
    own = Guarded(tmp_path / "own", TRUSTED_PROXIES="127.0.0.1", INTERNAL_NETWORKS="10.0.0.0/8")
    try:
        mine, theirs = own.header(own.root), own.header(own.make_key("admin")["key"])

        def ask(key: dict[str, str], number: int) -> Reply:
            return own.service.get(
                "/v1/admin/keys", key | {"X-Forwarded-For": f"10.0.{number // 250}.{number % 250}"}
            )

        statuses = [ask(mine, number).status for number in range(20 * limits.RATE_ADMIN_BURST)]
        assert 429 in statuses  # although no two requests came from the same address
        refused = next(ask(mine, 0) for _ in range(100) if ask(mine, 0).status == 429)
        assert refused.headers["RateLimit-Limit"] == str(limits.RATE_ADMIN_BURST)
        assert ask(theirs, 0).status == 200
    finally:
        own.service.close()


@pytest.mark.parametrize(
    ("method", "path", "body", "pace"),
    [
        ("GET", "/livez", None, Pace.PROBE),
        ("GET", "/v1/concepts", None, Pace.READ),
        ("POST", "/v1/assert", b"{", Pace.WRITE),
        ("POST", "/v1/assert/bulk", b"{}\n", Pace.BULK),
        ("GET", "/v1/admin/quotas", None, Pace.ADMIN),
    ],
)
def test_each_class_of_paths_says_its_pace(
    paced: ServiceProcess, method: str, path: str, body: bytes | None, pace: Pace
) -> None:
    content = {"Content-Type": "application/x-ndjson" if path.endswith("bulk") else "application/json"}
    reply = paced.request(method, path, body, content)
    assert reply.headers["RateLimit-Limit"] == str(int(pace.value.capacity))
    # What this request took may be there again, and probes were asked at the start, too.
    remaining = int(reply.headers["RateLimit-Remaining"])
    assert 0.9 * pace.value.capacity <= remaining <= pace.value.capacity
    assert int(reply.headers["RateLimit-Reset"]) <= 1


@pytest.fixture
def paced(server: ServerFactory) -> ServiceProcess:
    return server(env={"STEMEDB_TRUSTED_PROXIES": "127.0.0.9"})


@pytest.mark.slow
def test_an_agent_that_was_shut_out_comes_back_by_itself(server: ServerFactory) -> None:
    """Out at its fifth refusal, others unaffected, in again after the pause that its replies named."""
    service = server()
    began = time.monotonic()
    for number in range(limits.BREAKER_REFUSALS_MAX):
        orphan = claim(subject=f"back/{number}", parent_hash="11" * 32)
        assert service.post("/v1/supersede", orphan).status == 404
    refused = service.post("/v1/assert", claim(subject="back/now"))
    assert (refused.status, refused.json()["code"]) == (429, "breaker_open")
    assert time.monotonic() - began < limits.BREAKER_PAUSE_S / 2  # within seconds
    wait_s = int(refused.headers["Retry-After"])
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        assert service.post("/v1/assert", claim(OTHER, subject=f"back/{time.time_ns()}")).status == 201
        time.sleep(1)
    assert service.post("/v1/assert", claim(subject="back/now")).status == 201
    assert b"\nstemedb_circuit_breakers_open 0.0\n" in service.get("/metrics").body
    assert service.get("/v1/admin/circuit_breakers").json()["circuit_breakers"] == []
    assert service.post("/v1/assert", claim(SIGNER, subject="back/later")).status == 201
    service.stop()
    assert '"event":"breaker opened"' in service.log
