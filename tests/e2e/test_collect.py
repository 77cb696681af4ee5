"""Requests are collected without a worker: slow, huge and malformed ones hurt nobody else."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from stemedb import limits
from tests.e2e.conftest import ServerFactory
from tests.e2e.service import ServiceProcess
from tests.e2e.signing import claim, line

HALF_SENT = 300


@contextmanager
def connected(service: ServiceProcess) -> Iterator[socket.socket]:
    with closing(socket.create_connection(("127.0.0.1", service.port), timeout=40)) as sock:
        yield sock


def read_all(sock: socket.socket) -> bytes:
    """Read until the server closes."""
    parts = []
    while part := sock.recv(65536):
        parts.append(part)
    return b"".join(parts)


def status_and_problem(reply: bytes) -> tuple[int, dict[str, object]]:
    head, _, body = reply.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head, reply
    for name in (b"X-Request-Id", b"X-Content-Type-Options", b"Content-Security-Policy", b"Referrer-Policy"):
        assert b"\r\n" + name + b": " in head
    return int(head.split()[1]), json.loads(body)


def test_half_sent_requests_do_not_stop_others(server: ServerFactory) -> None:
    service = server()
    waiting = []
    for number in range(HALF_SENT):
        sock = socket.create_connection(("127.0.0.1", service.port), timeout=40)
        sock.sendall(b"POST /v1/assert HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n")
        if number % 2:
            sock.sendall(b"Content-Type: application/json\r\n\r\n{")
        waiting.append(sock)
    began = time.monotonic()
    assert service.get("/v1/health").status == 200
    assert service.post("/v1/assert", claim()).status == 201
    assert time.monotonic() - began < 2
    # Each that sent only a part of its head is told so when its time is over, not just cut.
    status, problem = status_and_problem(read_all(waiting[0]))
    assert (status, problem["code"]) == (408, "request_timeout")
    for sock in waiting:
        sock.close()


def test_slow_readers_do_not_hold_workers(server: ServerFactory) -> None:
    service = server()
    text = {"type": "Text", "value": "x" * 60_000}
    service.bulk([line(0, predicate=f"p{number}", object=text) for number in range(100)])
    waiting = []
    for _ in range(2 * limits.HTTP_WORKERS):
        sock = socket.create_connection(("127.0.0.1", service.port), timeout=40)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(b"GET /v1/query?subject=fda://drug/0&limit=30 HTTP/1.1\r\nHost: x\r\n\r\n")
        waiting.append(sock)
    began = time.monotonic()
    assert service.get("/v1/health").status == 200
    assert time.monotonic() - began < 5
    head = waiting[0].recv(4096)
    assert head.startswith(b"HTTP/1.1 200 OK")
    for sock in waiting:
        sock.close()


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"GET /v1/health HTTP/1.1\r\nHost x\r\n\r\n", 400, "malformed_head"),
        (b"GET /v1/health HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n", 400, "malformed_head"),
        (b"nonsense\r\n\r\n", 400, "malformed_head"),
        (b"get /v1/health HTTP/1.1\r\nHost: x\r\n\r\n", 400, "malformed_head"),
        (b"GET http://elsewhere/ HTTP/1.1\r\nHost: x\r\n\r\n", 400, "malformed_head"),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400, "malformed_head"),
        (b"POST /v1/assert HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, "malformed_head"),
        (b"POST /v1/assert HTTP/1.1\r\nContent-Length : 5\r\n\r\n", 400, "malformed_head"),
        (
            b"POST /v1/assert/bulk HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
            "malformed_head",
        ),
        (b"POST /v1/assert HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 400, "malformed_head"),
        (b"POST /v1/assert HTTP/1.1\r\nTransfer-Encoding: \x0bchunked\r\n\r\n", 400, "malformed_head"),
        (b"POST /v1/assert HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n", 400, "malformed_head"),
        (b"POST /v1/assert HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n\r\n", 400, "malformed_head"),
        (b"POST /v1/assert HTTP/1.1\r\nContent-Length: +5\r\n\r\n", 400, "malformed_head"),
        (b"POST /v1/assert HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\n", 400, "malformed_head"),
        (b"POST /v1/assert HTTP/1.1\r\nContent-Length: 0x5\r\n\r\n", 400, "malformed_head"),
        (b"POST /v1/assert HTTP/1.1\r\nContent-Length:\r\n\r\n", 400, "malformed_head"),
        (b"GET /v1/health HTTP/1.1\nHost: x\r\n\r\n", 400, "malformed_head"),
        (b"GET /v1/health HTTP/1.1\r\nHost: x\nX: y\r\n\r\n", 400, "malformed_head"),
        (b"GET /v1/health HTTP/1.1\r\nHost: x\rX: y\r\n\r\n", 400, "malformed_head"),
        (b"GET /v1/health HTTP/1.1\r\nHost: x\x00y\r\n\r\n", 400, "malformed_head"),
        (b"GET /v1/health HTTP/1.1\r\n: x\r\n\r\n", 400, "malformed_head"),
        (b"GET /v1/health HTTP/2.0\r\nHost: x\r\n\r\n", 400, "malformed_head"),
        (b"GET  /v1/health HTTP/1.1\r\nHost: x\r\n\r\n", 400, "malformed_head"),
        (b"GET /v1/\rhealth HTTP/1.1\r\nHost: x\r\n\r\n", 400, "malformed_head"),
        (b"GET /v1/\thealth HTTP/1.1\r\nHost: x\r\n\r\n", 400, "malformed_head"),
        (b"GET /v1/\x00health HTTP/1.1\r\nHost: x\r\n\r\n", 400, "malformed_head"),
        (b"CONNECT elsewhere:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400, "malformed_head"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "malformed_head"),
        (b"POST /v1/assert HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411, "length_required"),
        (b"POST /v1/assert HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n", 413, "too_large"),
        (b"POST /v1/assert/bulk HTTP/1.1\r\nContent-Length: 134217729\r\n\r\n", 413, "too_large"),
        (b"GET /" + b"a" * limits.URL_BYTES_MAX + b" HTTP/1.1\r\n\r\n", 414, "uri_too_long"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * limits.HEADER_BYTES_MAX + b"\r\n\r\n", 431, "headers_too_large"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * limits.HEADER_BYTES_MAX, 431, "headers_too_large"),
    ],
    ids=lambda value: value[:40].decode() if isinstance(value, bytes) else str(value),
)
def test_malformed_requests_get_a_problem(
    shared_server: ServiceProcess, sent: bytes, status: int, code: str
) -> None:
    with connected(shared_server) as sock:
        sock.sendall(sent)
        found, problem = status_and_problem(read_all(sock))
        assert (found, problem["code"]) == (status, code)
        assert set(problem) >= {"type", "title", "status", "detail", "code", "hint", "instance"}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("//v1/health", 400),
        ("/v1//health", 404),
        ("/v1/health/", 404),
        ("/v1/./health", 404),
        ("/v1/keys/../health", 404),
        ("/../../etc/passwd", 404),
        ("/%2e%2e/%2e%2e/etc/passwd", 404),
        ("/v1/%00", 404),
        ("/v1/health%00", 404),
        ("/v1%2fhealth", 404),
        ("/%ff%fe", 404),
        ("/V1/HEALTH", 404),
        ("/v1/health;x=y", 404),
        ("/v1/assertion/%2e%2e%2fadmin", 400),
        ("/v1/assert%2fbulk", 404),
    ],
)
def test_paths_are_what_they_look_like(shared_server: ServiceProcess, path: str, status: int) -> None:
    reply = shared_server.get(path)
    assert reply.status == status
    assert reply.headers["Content-Type"] == "application/problem+json"


def test_the_host_header_changes_nothing(shared_server: ServiceProcess) -> None:
    for host in (b"", b"evil.example", b"evil.example\r\nHost: other", b"a" * 8000, b"\xff\xfe", b"[::1"):
        with connected(shared_server) as sock:
            sock.sendall(b"GET /v1/health HTTP/1.1\r\nConnection: close\r\nHost: " + host + b"\r\n\r\n")
            reply = read_all(sock)
        assert reply.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"evil" not in reply


@pytest.mark.parametrize(
    ("chunks", "code"),
    [
        (b"x\r\n", "malformed_body"),
        (b"-1\r\n", "malformed_body"),
        (b"0x1\r\n{\r\n0\r\n\r\n", "malformed_body"),
        (b"1\n{\n0\n\n", "malformed_body"),
        (b"2\r\n{\r\n0\r\n\r\n", "malformed_body"),
        (b"1;" + b"a" * 300 + b"\r\n{\r\n0\r\n\r\n", "malformed_body"),
        (b"ffffffff\r\n", "too_large"),
        (b"fffffffff\r\n", "malformed_body"),
        (b"1\r\n \r\n" * 3000, "malformed_body"),
    ],
)
def test_malformed_chunks_end_the_connection(shared_server: ServiceProcess, chunks: bytes, code: str) -> None:
    with connected(shared_server) as sock:
        sock.sendall(
            b"POST /v1/assert/bulk HTTP/1.1\r\nContent-Type: application/x-ndjson\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"GET /smuggled HTTP/1.1\r\n\r\n"
        )
        sock.shutdown(socket.SHUT_WR)
        reply = read_all(sock)
    assert reply.count(b"HTTP/1.1 ") == 1
    assert status_and_problem(reply)[1]["code"] == code


def test_packed_bodies_are_not_unpacked(shared_server: ServiceProcess) -> None:
    for encoding in ("gzip", "deflate", "br", "identity, gzip"):
        reply = shared_server.post("/v1/assert", b"x", {"Content-Encoding": encoding})
        assert (reply.status, reply.json()["code"]) == (415, "unsupported_media_type")


def test_empty_lines_before_a_request_are_ignored(shared_server: ServiceProcess) -> None:
    with connected(shared_server) as sock:
        for part in (b"\r\n\r\n", b"\r\n", b"\r\nGET /livez HTTP/1.1\r\nConnection: close\r\n\r\n"):
            sock.sendall(part)
        assert b" 200 OK\r\n" in read_all(sock)


def test_refused_requests_keep_their_id(shared_server: ServiceProcess) -> None:
    for rest in (b"Content-Length: 99999999\r\n\r\n", b"Content-Length: x\r\n\r\n", b"bad line\r\n\r\n"):
        with connected(shared_server) as sock:
            sock.sendall(b"POST /v1/assert HTTP/1.1\r\nX-Request-Id: mine-7\r\n" + rest)
            reply = read_all(sock)
        assert b"\r\nX-Request-Id: mine-7\r\n" in reply
        assert status_and_problem(reply)[1]["instance"] == "mine-7"


def test_pipelined_requests_are_answered_in_order(shared_server: ServiceProcess) -> None:
    with connected(shared_server) as sock:
        sock.sendall(
            b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
            b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
            b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        replies = read_all(sock)
    assert [int(part.split()[0]) for part in replies.split(b"HTTP/1.1 ")[1:]] == [200, 404, 200]


def test_expect_continue_is_answered_before_the_body(shared_server: ServiceProcess) -> None:
    body = json.dumps(claim(subject="fda://drug/expected")).encode()
    with connected(shared_server) as sock:
        sock.sendall(
            b"POST /v1/assert HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Expect: 100-continue\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        assert sock.recv(1024) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(body)
        assert read_all(sock).startswith(b"HTTP/1.1 201 Created")


def test_bodies_may_come_byte_by_byte(shared_server: ServiceProcess) -> None:
    body = json.dumps(claim(subject="fda://drug/slowly")).encode()
    request = (
        b"\r\nPOST /v1/assert HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    )
    with connected(shared_server) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request + body:
            sock.send(bytes([byte]))
        assert read_all(sock).startswith(b"HTTP/1.1 201 Created")


def test_http_1_0_is_answered_and_closed(shared_server: ServiceProcess) -> None:
    with connected(shared_server) as sock:
        sock.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
        assert b" 200 OK\r\n" in read_all(sock)


def test_head_has_no_body(shared_server: ServiceProcess) -> None:
    reply = shared_server.request("HEAD", "/livez")
    assert (reply.status, reply.body) == (200, b"")
    assert int(reply.headers["Content-Length"]) > 0
