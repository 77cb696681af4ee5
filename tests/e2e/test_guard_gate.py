"""What stands before every path: proxies, paces, web pages and the headers for browsers."""

from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from stemedb import limits
from stemedb.api.app import all_routes
from tests.e2e.conftest import ServerFactory
from tests.e2e.guarded import Guarded
from tests.e2e.service import Reply, ServiceProcess
from tests.e2e.signing import claim

PAGE = "https://app.example"


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    env = {
        "STEMEDB_TRUSTED_PROXIES": "127.0.0.1",
        "STEMEDB_INTERNAL_NETWORKS": "10.0.0.0/8",
        "STEMEDB_ALLOWED_ORIGINS": PAGE,
    }
    service = ServiceProcess(tmp_path_factory.mktemp("proxied"), env=env).start()
    yield service
    service.close()


INTERNAL = ["/metrics", "/v1/admin/keys"]


@pytest.mark.parametrize("path", INTERNAL)
def test_internal_paths_take_no_forwarded_requests(path: str, shared_server: ServiceProcess) -> None:
    assert shared_server.get(path).status == 200
    for headers in (
        {"X-Forwarded-For": "10.0.0.1"},
        {"Forwarded": "for=10.0.0.1"},
        {"X-Real-IP": "10.0.0.1"},
    ):
        refused = shared_server.get(path, headers)
        assert (refused.status, refused.json()["code"]) == (403, "forwarded")
    assert shared_server.get("/v1/concepts", {"X-Forwarded-For": "10.0.0.1"}).status == 200


@pytest.mark.parametrize("path", INTERNAL)
def test_a_trusted_proxy_lets_internal_clients_through(path: str, proxied: ServiceProcess) -> None:
    assert proxied.get(path).status == 200
    assert proxied.get(path, {"X-Forwarded-For": "10.0.0.1"}).status == 200
    assert proxied.get(path, {"X-Forwarded-For": "10.0.0.1, 203.0.113.9"}).status == 403
    assert proxied.get(path, {"X-Forwarded-For": "203.0.113.9"}).status == 403
    assert proxied.get(path, {"X-Real-IP": "10.0.0.1"}).status == 403


def test_outside_health_is_status_and_version(proxied: ServiceProcess, shared_server: ServiceProcess) -> None:
    outside, inside = {"X-Forwarded-For": "203.0.113.9"}, {"X-Forwarded-For": "10.0.0.1"}
    assert set(proxied.get("/v1/health", outside).json()) == {"status", "version"}
    assert set(proxied.get("/v1/health", inside).json()) > {"checks", "assertions_count"}
    assert "checks" in proxied.get("/v1/health").json()
    # A proxy that nobody named may be anybody's.
    assert set(shared_server.get("/v1/health", inside).json()) == {"status", "version"}


def test_every_admin_path_is_internal(shared_server: ServiceProcess) -> None:
    for route in all_routes():
        if route.path.startswith("/v1/admin/"):
            path = route.path.replace("{key_id}", "0" * 16)
            refused = shared_server.request(route.method, path, None, {"X-Forwarded-For": "10.0.0.1"})
            assert refused.status == 403, path


def test_a_pace_is_held_for_each_client(proxied: ServiceProcess) -> None:
    one, other = {"X-Forwarded-For": "10.0.0.7"}, {"X-Forwarded-For": "10.0.0.8"}
    first = proxied.get("/v1/admin/keys", one)
    assert first.headers["RateLimit-Limit"] == str(limits.RATE_ADMIN_BURST)
    assert first.headers["RateLimit-Remaining"] == str(limits.RATE_ADMIN_BURST - 1)
    refused = None
    for _ in range(20 * limits.RATE_ADMIN_BURST):
        reply = proxied.get("/v1/admin/keys", one)
        if reply.status == 429:
            refused = reply
            break
    assert refused is not None
    assert refused.json()["code"] == "rate_limit"
    assert refused.headers["Retry-After"] == "1"
    assert refused.headers["RateLimit-Remaining"] == "0"
    assert proxied.get("/v1/admin/keys", other).status == 200
    assert proxied.get("/v1/health", one).status == 200


def test_loopback_has_no_pace_of_its_own(shared_server: ServiceProcess) -> None:
    assert "RateLimit-Limit" not in shared_server.get("/v1/concepts").headers


def test_trying_keys_is_slow(tmp_path: Path) -> None:
    own = Guarded(tmp_path / "own", TRUSTED_PROXIES="127.0.0.1")
    try:
        stranger, friend = {"X-Forwarded-For": "203.0.113.9"}, {"X-Forwarded-For": "203.0.113.8"}
        replies = [own.service.get("/v1/concepts", stranger) for _ in range(2 * limits.RATE_STRANGER_BURST)]
        assert {reply.status for reply in replies} == {401, 429}
        assert replies[-1].headers["Retry-After"] == "1"
        assert own.service.get("/v1/concepts", friend | own.header(own.root)).status == 200
        assert own.service.get("/v1/concepts", stranger | own.header(own.root)).status == 200
    finally:
        own.service.close()


def assert_safe(reply: Reply) -> None:
    headers = reply.headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "Access-Control-Allow-Origin" not in headers
    assert "X-Request-Id" in headers
    assert headers["Server"] == "stemedb" if "Server" in headers else reply.status >= 400


def test_replies_of_every_kind_are_safe_for_browsers(shared_server: ServiceProcess) -> None:
    etag = {"If-None-Match": "*"}
    kinds = [
        *(
            shared_server.get(path)
            for path in ("/v1/health", "/v1/concepts", "/docs", "/metrics", "/openapi.json")
        ),
        shared_server.get("/v1/concepts", etag),
        shared_server.request("HEAD", "/v1/concepts"),
        shared_server.post("/v1/assert", claim()),
        shared_server.bulk([b"{}"]),
        shared_server.get("/nothing"),
        shared_server.get("/v1/assertion/x"),
        shared_server.get("/v1/assertion/" + "0" * 64),
        shared_server.request("PUT", "/v1/concepts"),
        shared_server.request("OPTIONS", "/v1/concepts"),
        shared_server.post("/v1/assert", b"x", {"Content-Type": "text/plain"}),
        shared_server.get("/v1/admin/keys", {"Forwarded": "for=1"}),
        # Of the connection itself:
        shared_server.request("POST", "/v1/assert", None, {"Content-Length": "99999999"}),
        shared_server.request("POST", "/v1/assert", None, {"Content-Length": "x"}),
        shared_server.get("/" + "a" * limits.URL_BYTES_MAX),
        shared_server.get("/", {"X-A": "a" * limits.HEADER_BYTES_MAX}),
        shared_server.get("//elsewhere/"),
    ]
    for reply in kinds:
        assert_safe(reply)
    found = {200, 201, 304, 400, 403, 404, 405, 413, 414, 415, 431}
    assert {reply.status for reply in kinds} == found


def test_other_pages_may_neither_read_nor_write(shared_server: ServiceProcess) -> None:
    page = {"Origin": "https://evil.example"}
    assert "Access-Control-Allow-Origin" not in shared_server.get("/v1/concepts", page).headers
    alias = {"subject": "a", "alias": "b"}
    refused = shared_server.post("/v1/alias", alias, page)
    assert (refused.status, refused.json()["code"]) == (403, "foreign_origin")
    assert shared_server.post("/v1/alias", alias, {"Origin": "null"}).status == 403
    asked = page | {"Access-Control-Request-Method": "POST"}
    assert shared_server.request("OPTIONS", "/v1/alias", None, asked).status == 405
    own = {"Origin": shared_server.url}
    assert shared_server.post("/v1/alias", alias, own).status == 201


def test_named_pages_may(proxied: ServiceProcess) -> None:
    page = {"Origin": PAGE}
    reply = proxied.get("/v1/concepts", page)
    assert (reply.headers["Access-Control-Allow-Origin"], reply.headers["Vary"]) == (PAGE, "Origin")
    asked = proxied.request("OPTIONS", "/v1/alias", None, page | {"Access-Control-Request-Method": "POST"})
    assert asked.status == 204
    assert "POST" in asked.headers["Access-Control-Allow-Methods"]
    assert "X-API-Key" in asked.headers["Access-Control-Allow-Headers"]
    assert proxied.post("/v1/alias", {"subject": "a", "alias": "b"}, page).status == 201
    other = {"Origin": PAGE + ".evil.example", "Access-Control-Request-Method": "POST"}
    assert proxied.request("OPTIONS", "/v1/alias", None, other).status == 405


def test_the_log_names_the_real_client(server: ServerFactory) -> None:
    service = server(env={"STEMEDB_TRUSTED_PROXIES": "127.0.0.1"})
    service.get("/v1/concepts", {"X-Forwarded-For": '203.0.113.9"\\u001b[31m'})
    service.get("/v1/concepts", {"X-Forwarded-For": "203.0.113.9"})
    connection = HTTPConnection("127.0.0.1", service.port, timeout=30)
    connection.request("GET", "/v1/concepts?prefix=%1b%0a%5b31m", headers={"X-Request-Id": "a\x1b[31mb"})
    assert connection.getresponse().status in (200, 400)
    connection.close()
    service.stop()
    assert '"client":"203.0.113.9"' in service.log
    assert "\x1b" not in service.log
