"""Tries again when that is safe, gives up in bounded time, and never hides what it met."""

from __future__ import annotations

import socket

import pytest

from stemedb import errors
from stemedb.client import Client, batches, sign
from stemedb.errors import Invalid, StemedbError, TooLarge, Unavailable, Unprocessable
from stemedb.model import Assertion, ObjectKind, Signer, Value, assertion_id, canonical_bytes
from tests.client.peer import EARLY, HANG_UP, LINE_END, Peer, reply

HEALTH = {
    "status": "healthy",
    "version": "0.1.0",
    "assertions_count": 0,
    "seq": 1,
    "uptime_seconds": 1.5,
    "checks": {},
}
EMPTY: dict[str, object] = {"assertions": [], "next_cursor": None}
CLAIM = sign(Assertion("s", "p", Value(ObjectKind.TEXT, "x"), 1.0, 1_700_000_000), Signer(bytes(32)))
CLAIM_ID = assertion_id(canonical_bytes(CLAIM.assertion)).hex()
STORED = {"hash": CLAIM_ID, "seq": 2, "status": "created"}


def problem(status: int, *headers: str, **fields: object) -> bytes:
    return reply(status, {"status": status, **fields}, *headers, content_type="application/problem+json")


def test_requests_share_one_connection() -> None:
    with Peer(reply(200, EMPTY), reply(200, EMPTY)) as peer, Client(peer.url) as client:
        client.query("a")
        client.query("b")
    assert [heard.connection for heard in peer.heard] == [0, 0]


def test_a_kept_connection_that_the_server_closed_is_opened_anew_without_patience() -> None:
    with (
        Peer(reply(200, EMPTY), HANG_UP, reply(200, EMPTY)) as peer,
        Client(peer.url, patience_s=0.001) as client,
    ):
        client.query("a")
        client.query("b")
    assert len(peer.heard) == 3


def test_assert_is_sent_again_after_a_lost_reply() -> None:
    with Peer(HANG_UP, reply(200, {**STORED, "status": "exists"})) as peer, Client(peer.url) as client:
        assert client.assert_claim(CLAIM).status == "exists"
    assert peer.heard[0].body == peer.heard[1].body


def test_a_reply_cut_in_its_middle_is_asked_for_again() -> None:
    whole = reply(200, EMPTY)
    with Peer(whole[:-5], reply(200, EMPTY)) as peer, Client(peer.url, timeout_s=0.3) as client:
        assert client.query("a").assertions == []


def test_503_is_tried_again_after_retry_after() -> None:
    busy = problem(503, "Retry-After: 0", code="queue_full")
    with Peer(busy, busy, reply(201, STORED)) as peer, Client(peer.url) as client:
        assert client.assert_claim(CLAIM).seq == 2


def test_503_that_asks_for_more_than_there_is_patience_is_an_error_at_once() -> None:
    busy = problem(503, "Retry-After: 3600", code="disk_floor", detail="disk full", hint="Free some space.")
    with Peer(busy) as peer, Client(peer.url) as client, pytest.raises(Unavailable) as caught:
        client.assert_claim(CLAIM)
    assert (caught.value.reason, caught.value.detail, caught.value.hint) == (
        "disk_floor",
        "disk full",
        "Free some space.",
    )
    assert caught.value.retry_after_s == 3600


def test_a_refusal_before_the_body_was_read_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemedb.limits.CLIENT_BATCH_BYTES_MAX", 10**9)
    monkeypatch.setattr("stemedb.limits.CLIENT_BATCH_LINES_MAX", 10**9)
    large = sign(Assertion("s", "p", Value(ObjectKind.TEXT, "x" * 60_000), 1.0, 0), Signer(bytes(32)))
    answer = EARLY + problem(413, "Connection: close", code="too_large", detail="too much")
    with Peer(answer) as peer, Client(peer.url) as client, pytest.raises(TooLarge, match="too much"):
        list(client.bulk([large] * 500))


def test_nobody_there_is_unreachable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with (
            Client(url, patience_s=0.2) as client,
            pytest.raises(Unavailable, match="Connection refused") as caught,
        ):
            client.query("a")
    assert caught.value.reason == "unreachable"


def test_a_peer_that_never_answers_ends_in_bounded_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with (
            Client(url, timeout_s=0.1, patience_s=0.1) as client,
            pytest.raises(Unavailable, match="timed out"),
        ):
            client.query("a")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.Invalid),
        (401, errors.Unauthorized),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (410, errors.Gone),
        (413, errors.TooLarge),
        (418, errors.Invalid),
        (422, errors.Unprocessable),
        (428, errors.ProofRequired),
        (429, errors.QuotaExceeded),
        (500, errors.StemedbError),
        (504, errors.QueryTimeout),
    ],
)
def test_problems_become_the_errors_they_are(status: int, kind: type[StemedbError]) -> None:
    faults = [{"pointer": "/confidence", "detail": "must be from 0 to 1"}]
    answer = problem(status, code="some_code", detail="what", errors=faults, instance="req-1")
    with Peer(answer) as peer, Client(peer.url) as client, pytest.raises(StemedbError) as caught:
        client.query("a")
    assert type(caught.value) is kind
    assert (caught.value.reason, caught.value.detail) == ("some_code", "what")
    assert caught.value.faults == (errors.Fault("/confidence", "must be from 0 to 1"),)
    assert ("req-1" in caught.value.hint) is (status == 500)


@pytest.mark.parametrize(
    "answer",
    [
        reply(502, b"<html>Bad Gateway</html>", content_type="text/html"),
        reply(302, b"", "Location: http://127.0.0.1:1/"),
        reply(200, b"<html>hello</html>", content_type="text/html"),
        reply(200, {"something": "else"}),
        reply(404, b"\xff\xfe"),
    ],
)
def test_what_is_no_stemedb_server_is_said_to_be_none(answer: bytes) -> None:
    with Peer(answer) as peer, Client(peer.url) as client, pytest.raises(StemedbError) as caught:
        client.query("a")
    assert "stemedb server" in caught.value.hint


def test_what_is_no_http_is_unreachable() -> None:
    answer = b"SSH-2.0-OpenSSH" + LINE_END
    with (
        Peer(answer, answer, answer) as peer,
        Client(peer.url, patience_s=0.01) as client,
        pytest.raises(Unavailable),
    ):
        client.query("a")


@pytest.mark.parametrize("status", ["starting", "draining"])
def test_health_of_a_server_that_is_not_ready_is_an_answer(status: str) -> None:
    with Peer(reply(503, {**HEALTH, "status": status})) as peer, Client(peer.url) as client:
        assert client.health().status == status


def test_the_key_goes_into_its_header_and_nowhere_else() -> None:
    with Peer(reply(200, EMPTY)) as peer, Client(peer.url, "steme_live_secret") as client:
        client.query("a")
    assert "X-API-Key: steme_live_secret" in peer.heard[0].head
    assert "secret" not in peer.heard[0].head.splitlines()[0]


@pytest.mark.parametrize("key", ["a\r\nX-Evil: 1", "clé", ""])
def test_a_key_that_would_break_the_header_is_refused(key: str) -> None:
    if key:
        with pytest.raises(Invalid):
            Client("http://127.0.0.1:1", key)
    else:
        Client("http://127.0.0.1:1", key).close()


@pytest.mark.parametrize(
    "url",
    ["", "localhost:18180", "ftp://host", "http://", "http://host:99999", "http://u:p@host", "http://h/?q=1"],
)
def test_what_is_no_address_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(Invalid):
        Client(url)


def test_a_base_path_stands_before_every_path() -> None:
    with Peer(reply(200, EMPTY)) as peer, Client(peer.url + "/claims/") as client:
        client.query("a b&c", "ü")
    assert peer.heard[0].head.startswith("GET /claims/v1/query?subject=a+b%26c&predicate=%C3%BC ")


def test_assert_notices_a_server_that_stored_something_else() -> None:
    other = {**STORED, "hash": "00" * 32}
    with Peer(reply(201, other)) as peer, Client(peer.url) as client, pytest.raises(Unprocessable):
        client.assert_claim(CLAIM)


def line(number: int, **fields: object) -> dict[str, object]:
    return {"line": number, "hash": CLAIM_ID, "seq": 2, "status": "exists", **fields}


def ndjson(*lines: dict[str, object]) -> bytes:
    content = b"".join(reply(200, each).partition(LINE_END)[2] + b"\n" for each in lines)
    return reply(200, content, content_type="application/x-ndjson")


def test_bulk_sends_lines_again_that_were_refused_for_now() -> None:
    busy = {"line": 2, "problem": {"status": 503, "code": "queue_full"}}
    bad = {"line": 3, "problem": {"status": 422, "code": "bad_signature", "detail": "no"}}
    with (
        Peer(ndjson(line(1, status="created"), busy, bad), ndjson(line(1, status="created"))) as peer,
        Client(peer.url) as client,
    ):
        results = list(client.bulk([CLAIM, CLAIM, CLAIM]))
    assert [(each.line, each.status) for each in results] == [(1, "created"), (2, "created"), (3, None)]
    assert isinstance(results[2].error, Unprocessable)
    assert peer.heard[1].body.count(b"\n") == 1


@pytest.mark.parametrize(
    "answer",
    [
        ndjson(line(1)),
        ndjson(line(1), line(3)),
        ndjson(line(1), line(2, hash="00" * 32)),
        reply(200, b'{"line":1,'),
    ],
)
def test_bulk_refuses_results_that_are_not_about_its_lines(answer: bytes) -> None:
    with (
        Peer(answer) as peer,
        Client(peer.url) as client,
        pytest.raises(Unavailable, match="bulk reply is broken"),
    ):
        list(client.bulk([CLAIM, CLAIM]))


def test_batches_hold_no_more_than_their_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemedb.limits.CLIENT_BATCH_LINES_MAX", 3)
    assert [len(batch.lines) for batch in batches([CLAIM] * 7)] == [3, 3, 1]
    size = len(next(batches([CLAIM])).body)
    monkeypatch.setattr("stemedb.limits.CLIENT_BATCH_BYTES_MAX", 2 * size)
    found = list(batches([CLAIM] * 5))
    assert [len(batch.lines) for batch in found] == [2, 2, 1]
    assert all(len(batch.body) <= 2 * size for batch in found)
    assert list(batches([])) == []


def test_a_reply_beyond_the_limit_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemedb.limits.CLIENT_REPLY_BYTES_MAX", 1000)
    with Peer(reply(200, b"x" * 5000)) as peer, Client(peer.url) as client, pytest.raises(TooLarge):
        client.query("a")
