"""Whatever is wrong with a vote, an epoch, a source, an alias or a standard is refused by name."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from stemedb import limits
from tests.e2e.saying import epoch, source, vote
from tests.e2e.service import ServiceProcess
from tests.e2e.signing import OTHER, SIGNER, claim
from tests.e2e.test_refuse import problem_of

GOOD: dict[str, Callable[[], dict[str, Any]]] = {
    "/v1/vote": lambda: vote("1" * 64, 0.5),
    "/v1/epoch": lambda: epoch("good"),
    "/v1/source": lambda: source("good"),
    "/v1/supersede": lambda: claim(parent_hash="1" * 64),
    "/v1/alias": lambda: {"subject": "good", "alias": "better"},
    "/v1/gold-standard": lambda: {"subject": "good", "predicate": "p", "object": {"Number": 1}},
    "PATCH": lambda: {"status": "Active"},
}
NAMED = {"/v1/vote": "agent_id", "/v1/epoch": "name", "/v1/source": "title", "PATCH": "status"}


def send(server: ServiceProcess, path: str, body: bytes, status: int) -> dict[str, Any]:
    method, path = ("PATCH", f"/v1/source/{'1' * 64}") if path == "PATCH" else ("POST", path)
    return problem_of(server.request(method, path, body, {"Content-Type": "application/json"}), status)


def changed(path: str, **fields: Any) -> bytes:  # noqa: ANN401  (any JSON)
    return json.dumps(GOOD[path]() | fields).encode()


@pytest.mark.parametrize("path", GOOD)
def test_bad_json_is_400(shared_server: ServiceProcess, path: str) -> None:
    whole, field = changed(path), NAMED.get(path, "subject")
    value = GOOD[path]()[field]
    text = json.dumps(value).encode()
    for body, code in (
        (b"", "malformed_json"),
        (whole[:-5], "malformed_json"),
        (b"[]", "validation"),
        (b"null", "validation"),
        (b"12", "validation"),
        (b"{}", "validation"),
        (b"\xef\xbb\xbf" + whole, "malformed_json"),
        (whole + b"x", "malformed_json"),
        (whole.replace(text, b"12"), "validation"),
        (whole.replace(text, b"NaN"), "malformed_json"),
        (whole.replace(text, b"null"), "validation"),
        (whole.replace(text, b'"\xff\xfe"'), "invalid_utf8"),
        (whole.replace(text, b'"\\ud800"'), "malformed_json"),
        (whole.replace(text, b'"a\\u0000b"'), "validation"),
        (whole.replace(text, b'"' + b"x" * 900_000 + b'"'), "validation"),
        (whole.replace(text, b'""'), "validation"),
        (changed(path, unknown=1), "validation"),
        (changed(path, timestamp=-1), "validation"),
        (changed(path, timestamp=10**30), "validation"),
        (changed(path, timestamp=1.5), "validation"),
        (changed(path, timestamp="now"), "validation"),
        (changed(path, timestamp=int(time.time()) + limits.TIMESTAMP_AHEAD_S_MAX + 60), "validation"),
        (b"[" * 500_000, "validation"),
    ):
        assert send(shared_server, path, body, 400)["code"] == code, body[:60]


@pytest.mark.parametrize("path", GOOD)
def test_lengths_types_and_parameters_are_strict(shared_server: ServiceProcess, path: str) -> None:
    method, place = ("PATCH", f"/v1/source/{'1' * 64}") if path == "PATCH" else ("POST", path)
    body = changed(path)
    problem_of(shared_server.request(method, place, body, {"Content-Type": "text/plain"}), 415)
    json_type = {"Content-Type": "application/json"}
    problem_of(shared_server.request(method, place, body, json_type | {"Content-Encoding": "gzip"}), 415)
    problem_of(shared_server.request(method, f"{place}?a=1", body, json_type), 400)
    problem_of(shared_server.request("DELETE", place, body, json_type), 405)
    most = limits.SOURCE_BODY_BYTES_MAX if path == "/v1/source" else limits.BODY_BYTES_MAX
    problem_of(shared_server.request(method, place, b" " * (most + 1), json_type), 413)


@pytest.mark.parametrize(
    ("path", "field", "value"),
    [
        *(("/v1/vote", "weight", value) for value in (1e9, -1.001, 1.001, "1")),
        *(("/v1/vote", "assertion_hash", value) for value in ("", "A" * 64, "1" * 63, "g" * 64)),
        ("/v1/vote", "agent_id", "1" * 66),
        ("/v1/vote", "signature", "1" * 64),
        ("/v1/epoch", "name", "x" * 257),
        ("/v1/epoch", "supersedes", "new"),
        ("/v1/epoch", "supersession", "Repeats"),
        ("/v1/epoch", "signature", ""),
        ("/v1/source", "source_hash", "0" * 64),
        ("/v1/source", "source_hash", "B" * 64),
        ("/v1/source", "title", "x" * (limits.SOURCE_TITLE_BYTES_MAX + 1)),
        ("/v1/source", "url", "x" * (limits.SOURCE_URL_BYTES_MAX + 1)),
        ("/v1/source", "source_class", "Royal"),
        ("/v1/source", "status", "Lost"),
        ("/v1/source", "content", "x" * (limits.SOURCE_CONTENT_BYTES_MAX + 1)),
        ("/v1/source", "content", "é" * (limits.SOURCE_CONTENT_BYTES_MAX // 2 + 1)),
        ("/v1/supersede", "confidence", 1.5),
        ("/v1/supersede", "vector", [0.5] * 5000),
        ("/v1/supersede", "parent_hash", None),
        ("/v1/supersede", "parent_hash", "1"),
        ("/v1/alias", "alias", "good"),
        ("/v1/alias", "alias", "x" * 257),
        ("/v1/alias", "subject", "line\nbreak"),
        ("/v1/gold-standard", "predicate", "x" * 129),
        ("/v1/gold-standard", "object", {"Colour": "red"}),
        ("/v1/gold-standard", "object", {"Number": 2**53 + 1}),
        ("/v1/gold-standard", "object", {"Number": "1"}),
        ("PATCH", "status", "active"),
    ],
)
def test_bad_values_are_400_and_named(
    shared_server: ServiceProcess, path: str, field: str, value: object
) -> None:
    problem = send(shared_server, path, changed(path, **{field: value}), 400)
    assert problem["errors"][0]["pointer"].startswith(f"/{field}")


def test_weights_that_are_no_numbers_are_400(shared_server: ServiceProcess) -> None:
    for text in (b"NaN", b"Infinity", b"-Infinity"):
        send(shared_server, "/v1/vote", changed("/v1/vote").replace(b"0.5", text), 400)


def test_signatures_that_do_not_verify_are_422(shared_server: ServiceProcess) -> None:
    made = shared_server.post("/v1/assert", claim()).json()["hash"]
    for path, body in (("/v1/vote", vote(made, 0.5)), ("/v1/epoch", epoch("forged"))):
        for change in (
            {"agent_id": OTHER.agent_id.hex()},
            {"timestamp": body["timestamp"] + 1},
            {"signature": SIGNER.sign(bytes(32), 1).signature.hex()},
            {"weight": 0.25} if path == "/v1/vote" else {"name": "other"},
        ):
            problem = send(shared_server, path, json.dumps(body | change).encode(), 422)
            assert problem["code"] == "bad_signature"
    assert shared_server.get(f"/v1/trace/{made}").json()["votes"] == []
    forged = claim(parent_hash=made) | {"confidence": 0.1}
    assert send(shared_server, "/v1/supersede", json.dumps(forged).encode(), 422)["code"] == "bad_signature"


def test_every_fault_is_named_at_once(shared_server: ServiceProcess) -> None:
    problem = send(shared_server, "/v1/epoch", changed("/v1/epoch", name="", supersession="x"), 400)
    assert [fault["pointer"] for fault in problem["errors"]] == ["/name", "/supersession"]


def test_sources_of_a_mebibyte_pass_however_json_writes_them(shared_server: ServiceProcess) -> None:
    for character in ("x", "\x01", "€"):
        content = character * (limits.SOURCE_CONTENT_BYTES_MAX // len(character.encode()))
        body = source(f"large {character!r}", content=content)
        made = shared_server.post("/v1/source", body)
        assert made.status == 201
        assert shared_server.get(f"/v1/source/{made.json()['hash']}").json()["content"] == content


def test_nothing_refused_was_kept(shared_server: ServiceProcess) -> None:
    """The last of this module's tests: all that was refused before has left nothing behind."""
    kinds = {each["type"] for each in shared_server.get("/v1/feed?limit=1000").json()["records"]}
    assert kinds <= {"genesis", "assertion", "source"}


@pytest.mark.parametrize("path", ["query", "skeptic", "layered", "constraints"])
@pytest.mark.parametrize(
    "parameters",
    [
        "",
        "&as_of=99999999999",
        "&as_of=2999-01-01T00:00:00Z",
        "&as_of=yesterday",
        "&as_of=-1",
        "&as_of=2026-01-01",
        "&known_at=999999999",
        "&known_at=0",
        "&known_at=2999-01-01T00:00:00Z",
        "&known_at=1e3",
        "&min_confidence=1.1",
        "&min_confidence=nan",
        "&lifecycle=gone",
        "&source_class=Royal",
        "&epoch=1",
        "&agent_id=A",
        "&decay=maybe",
        "&aliases=1",
        "&visual_near=xyz",
        "&visual_near=0000000000000000&visual_threshold=-1",
        "&limit=1000000000",
        "&decay=true&decay=true",
        "&subject=again",
    ],
)
def test_bad_questions_are_400(shared_server: ServiceProcess, path: str, parameters: str) -> None:
    subject = "subject=a&predicate=must_use" if parameters else "predicate=must_use"
    problem_of(shared_server.get(f"/v1/{path}?{subject}{parameters}"), 400)
