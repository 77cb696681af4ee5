"""Whatever is wrong with an input is refused, by name, and nothing of it is kept."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from stemedb import limits
from tests.e2e.service import Reply, ServiceProcess
from tests.e2e.signing import OTHER, claim


def problem_of(reply: Reply, status: int) -> dict[str, Any]:
    assert reply.status == status, reply.body
    assert reply.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = reply.json()
    assert problem["status"] == status
    assert problem["instance"] == reply.headers["X-Request-Id"]
    assert problem["type"].endswith(problem["code"])
    assert b"Traceback" not in reply.body
    where = problem["detail"].partition(": ")[0]
    if where.startswith("/") and where != "/":  # what a person reads, a program finds as well
        assert problem["errors"][0]["pointer"] == where
    return problem


def changed(**fields: Any) -> bytes:  # noqa: ANN401  (any JSON)
    return json.dumps(claim() | fields).encode()


def raw(old: str, new: str) -> bytes:
    text = json.dumps(claim())
    assert old in text
    return text.replace(old, new).encode()


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        (b"", "malformed_json", None),
        (json.dumps(claim()).encode()[:-20], "malformed_json", None),
        (b"[]", "validation", ""),
        (b"null", "validation", ""),
        (b"\xef\xbb\xbf{}", "malformed_json", None),
        (raw('"fda://drug/semaglutide"', "12"), "validation", "/subject"),
        (raw("0.44", '"0.44"'), "validation", "/object/value"),
        (raw("0.44", "NaN"), "malformed_json", None),
        (raw("0.44", "Infinity"), "malformed_json", None),
        (raw("0.44", "1e999"), "validation", "/object"),
        (raw("0.44", "9007199254740993"), "validation", "/object/value"),
        (changed(unknown=1), "validation", None),
        (changed(subject="x" * 1_000_000), "validation", "/subject"),
        (changed(subject=""), "validation", "/subject"),
        (changed(subject="a\x00b"), "validation", "/subject"),
        (raw("semaglutide", "\\ud800"), "malformed_json", None),
        (json.dumps(claim()).encode().replace(b"semaglutide", b"\xff\xfe"), "invalid_utf8", None),
        (json.dumps(claim()).encode().replace(b"semaglutide", b"\xed\xa0\x80"), "invalid_utf8", None),
        (changed(confidence=1.0001), "validation", "/confidence"),
        (changed(confidence=-0.1), "validation", "/confidence"),
        (changed(timestamp=-1), "validation", "/timestamp"),
        (changed(timestamp=10**30), "validation", "/timestamp"),
        (changed(timestamp=int(time.time()) + 3600), "validation", "/timestamp"),
        (changed(source_hash="xyz"), "validation", "/source_hash"),
        (changed(source_hash="A" * 64), "validation", "/source_hash"),
        (changed(source_class="Royal"), "validation", "/source_class"),
        (changed(lifecycle="Maybe"), "validation", "/lifecycle"),
        (changed(object={"type": "Colour", "value": "red"}), "validation", "/object/type"),
        (changed(vector=[]), "validation", "/vector"),
        (changed(vector=[0.5] * 5_000), "validation", "/vector"),
        (changed(signatures=[]), "signature_required", "/signatures"),
        (changed(signatures=claim()["signatures"] * 65), "validation", "/signatures"),
        (b"[" * 500_000, "validation", ""),
        (b'{"object":' * 100_000, None, None),
    ],
    ids=lambda value: value[:24].decode("latin-1") if isinstance(value, bytes) else str(value),
)
def test_bad_claims_are_400(
    shared_server: ServiceProcess, body: bytes, code: str | None, pointer: str | None
) -> None:
    problem = problem_of(shared_server.post("/v1/assert", body), 400)
    if code is not None:
        assert problem["code"] == code
    if pointer is not None:
        assert problem["errors"][0]["pointer"] == pointer


def test_every_fault_is_named_at_once(shared_server: ServiceProcess) -> None:
    problem = problem_of(shared_server.post("/v1/assert", changed(confidence=2, lifecycle="x")), 400)
    assert [fault["pointer"] for fault in problem["errors"]] == ["/confidence", "/lifecycle"]


def test_signatures_that_do_not_verify_are_422(shared_server: ServiceProcess) -> None:
    own = claim()
    by_another_key = own | {"signatures": [own["signatures"][0] | {"agent_id": OTHER.agent_id.hex()}]}
    assert problem_of(shared_server.post("/v1/assert", by_another_key), 422)["code"] == "bad_signature"
    over_other_content = own | {"confidence": 0.1}
    assert problem_of(shared_server.post("/v1/assert", over_other_content), 422)["code"] == "bad_signature"
    with_wrong_hash = own | {"hash": "0" * 64}
    assert problem_of(shared_server.post("/v1/assert", with_wrong_hash), 422)["code"] == "hash_mismatch"


def test_duplicate_keys_the_last_counts(shared_server: ServiceProcess) -> None:
    body = raw('"confidence": 0.9', '"confidence": 7, "confidence": 0.9')
    assert shared_server.post("/v1/assert", body).status in (200, 201)


def test_media_types_and_lengths(shared_server: ServiceProcess) -> None:
    body = changed()
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1"):
        problem_of(shared_server.request("POST", "/v1/assert", body, {"Content-Type": media_type}), 415)
    encoded = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    problem_of(shared_server.request("POST", "/v1/assert", body, encoded), 415)
    accepted = {"Content-Type": "Application/JSON; charset=UTF-8"}
    assert shared_server.request("POST", "/v1/assert", body, accepted).status in (200, 201)
    problem_of(shared_server.post("/v1/assert", b"x" * (limits.BODY_BYTES_MAX + 1)), 413)


def test_unknown_paths_and_methods(shared_server: ServiceProcess) -> None:
    problem_of(shared_server.get("/v1/nowhere"), 404)
    problem_of(shared_server.get("/%ff%fe"), 404)
    problem_of(shared_server.get("/v1/query/"), 404)
    reply = shared_server.request("DELETE", "/v1/assert")
    problem_of(reply, 405)
    assert reply.headers["Allow"] == "POST"
    problem_of(shared_server.request("BREW", "/v1/query"), 405)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "subject=",
        "subject=a&nonsense=1",
        "subject=a&subject=b",
        "subject=a&limit=0",
        "subject=a&limit=1001",
        "subject=a&limit=ten",
        "subject=a&lens=recency",
        "subject=a&predicate=b&lens=guess",
        "subject=a&min_confidence=nan",
        "subject=a&as_of=tomorrow",
        "subject=a&as_of=99999999999",
        "subject=a&known_at=999999999",
        "subject=a&cursor=AAAA",
        "subject=a&epoch=zz",
        "subject=%ff",
        "subject=a%00b",
        "&".join(f"subject={number}" for number in range(limits.QUERY_PARAMETERS_MAX + 1)),
    ],
)
def test_bad_questions_are_400(shared_server: ServiceProcess, query: str) -> None:
    problem_of(shared_server.get(f"/v1/query?{query}"), 400)


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("query?subject=a&as_of=99999999999", "/as_of"),
        ("query?subject=a&known_at=999999999", "/known_at"),
        ("query?subject=a&known_at=2999-01-01T00:00:00Z", "/known_at"),
        ("query?subject=a&cursor=AAAA", "/cursor"),
        ("query?subject=a&predicate=b&since=999999999", "/since"),
        ("query?subject=a&predicate=b&vector_near=0", "/vector_near"),
        ("skeptic?subject=a", "/predicate"),
        ("layered?subject=a", "/predicate"),
        ("constraints?subject=a&predicate=b", "/predicate"),
        ("feed?after=999999999", "/after"),
        ("log/proof?from=0&to=x", "/to"),
        ("log/proof?form=1", "/form"),
    ],
)
def test_a_refused_parameter_is_named_for_programs_too(
    shared_server: ServiceProcess, path: str, pointer: str
) -> None:
    problem = problem_of(shared_server.get(f"/v1/{path}"), 400)
    assert problem["errors"][0]["pointer"] == pointer


def test_bad_ids(shared_server: ServiceProcess) -> None:
    problem_of(shared_server.get("/v1/assertion/" + "0" * 64), 404)
    for given in ("0", "g" * 64, "A" * 64, "0" * 63, "0" * 66, "0 " * 32):
        problem_of(shared_server.get("/v1/assertion/" + given.replace(" ", "%20")), 400)


def test_request_ids_are_kept_or_replaced(shared_server: ServiceProcess) -> None:
    assert shared_server.get("/livez", {"X-Request-Id": "abc-1.2"}).headers["X-Request-Id"] == "abc-1.2"
    for unfit in ("a b", "x" * 200, 'a"b', "é"):
        given = shared_server.get("/livez", {"X-Request-Id": unfit}).headers["X-Request-Id"]
        assert given != unfit
        assert len(given) == 32
