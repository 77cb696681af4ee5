"""Every path, whatever is added to the service later, refuses what is wrong by name and keeps nothing of it.

Bodies of what is said have tests of their own (`test_refuse`, `test_refuse_said`, `test_bulk`); here are
those of the other paths, and of all paths the parameters and the ids.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from stemedb import limits
from stemedb.api.app import all_routes
from stemedb.api.inputs import CURSOR
from stemedb.api.routes import Route
from tests.e2e.saying import epoch
from tests.e2e.service import Reply, ServiceProcess
from tests.e2e.signing import claim
from tests.e2e.test_refuse import problem_of
from tests.e2e.test_refuse_said import GOOD as SAID

ROUTES = {f"{route.method} {route.path}": route for route in all_routes()}
ID, KEY_ID = "1" * 64, "1" * 16

NUMBERS = ["", "-1", "1.5", "1e1", "nan", "Infinity", "0x1", "%D9%A3", "9" * 30, "9" * 3000]
TIMES = ["", "-1", "1.5", "nan", "yesterday", "2026-01-01", "2026-02-30T00:00:00Z", "9" * 30]
IDS = ["", "8", "8" * 63, "8" * 65, "A" * 64, "g" * 64, "%20" * 64, "%00" * 64]
TEXTS = ["", "a%00b", "x" * 3000]
FLAGS = ["", "1", "yes", "True", "maybe"]

# What each parameter must not be, wherever it is one; `subject` to `k` as they are where questions are asked.
BAD: dict[str, list[str]] = {
    "subject": TEXTS,
    "predicate": TEXTS,
    "lens": ["", "guess", "RECENCY", "%00"],
    "lifecycle": ["", "gone", "Approved"],
    "source_class": ["", "Royal", "clinical"],
    "epoch": IDS,
    "agent_id": ["", "%00", "x" * 129],
    "min_confidence": ["", "-0.1", "1.1", "nan", "inf", "x"],
    "as_of": [*TIMES, "99999999999", "2999-01-01T00:00:00Z"],
    "known_at": [*TIMES, "0", "999999999", "2999-01-01T00:00:00Z"],
    "since": [*TIMES, "999999999", "2999-01-01T00:00:00Z"],
    "decay": FLAGS,
    "aliases": FLAGS,
    "replay": FLAGS,
    "visual_near": ["", "00", "G" * 16, "0" * 17],
    "visual_threshold": [*NUMBERS, "65"],
    "vector_near": ["", "nan", "1,,2", "1,inf", "0,0", "1,x"],  # too many numbers are too long a line: 414
    "k": [*NUMBERS, "0", "1000000000"],
    "limit": [*NUMBERS, "0", "1000000000"],
    "cursor": ["", "AAAA", "a%00b", "%C3%A9", "A" * 3000],
    "prefix": ["a%00b", "x" * (limits.SUBJECT_BYTES_MAX + 1)],
    "after": [*NUMBERS, "999999999"],
    "wait": ["", "-1", "nan", "inf", "soon", "1000000000"],
    "state": ["", "held", "Waiting", "%00"],
    "from": NUMBERS[:-2],
    "to": NUMBERS,
}
# What a path asks for besides; without it, the fault would not be the only one.
NEEDED = {
    "/v1/query": {"subject": "a", "predicate": "must_use"},
    "/v1/skeptic": {"subject": "a", "predicate": "must_use"},
    "/v1/layered": {"subject": "a", "predicate": "must_use"},
    "/v1/constraints": {"subject": "a", "predicate": "must_use"},
    "/v1/admission/status": {"agent_id": ID},
}

# Paths with a body that is no statement: one that is right, and the name of a text in it.
BODIES: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "POST /v1/assert/prepare": (lambda: claim() | {"signatures": []}, "subject"),
    "POST /v1/admin/erase": (lambda: {"hashes": [ID], "reason": "a wish"}, "reason"),
    "POST /v1/admin/keys": (lambda: {"role": "reader", "name": "good"}, "name"),
    "POST /v1/admin/quotas": (lambda: {"agent_id": ID, "tokens": 10}, "agent_id"),
}
ELSEWHERE = {"POST /v1/assert", "POST /v1/assert/bulk", "PATCH /v1/source/{hash}"}


@pytest.fixture(scope="module")
def service(shared_server: ServiceProcess) -> ServiceProcess:
    """Return a service with a source, and with more epochs than one page of one shows."""
    kept = {"source_hash": ID, "title": "the source in the paths"}
    assert shared_server.post("/v1/source", kept).status == 201
    for number in range(3):
        assert shared_server.post("/v1/epoch", epoch(f"epoch {number}")).status == 201
    return shared_server


def send(
    service: ServiceProcess, route: Route, path: str, parameters: dict[str, str], more: str = ""
) -> Reply:
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    body = None if route.body is None else b"{}"
    headers = {} if body is None else {"Content-Type": route.body_type}
    return service.request(route.method, f"{path}?{query}{more}", body, headers)


def has_cursor(route: Route) -> bool:
    return any(each.name == "cursor" for each in route.parameters)


def path_of(route: Route) -> str:
    return route.path.replace("{key_id}", KEY_ID).replace("{hash}", ID).replace("{id}", ID)


def test_every_parameter_and_body_has_a_row() -> None:
    assert {each.name for route in ROUTES.values() for each in route.parameters} == set(BAD)
    with_body = {name for name, route in ROUTES.items() if route.body is not None}
    said = {f"POST {path}" for path in SAID if path != "PATCH"}
    assert with_body == set(BODIES) | ELSEWHERE | said


@pytest.mark.parametrize("name", ROUTES)
def test_parameters_are_refused_by_name(service: ServiceProcess, name: str) -> None:
    route = ROUTES[name]
    path, needed = path_of(route), NEEDED.get(route.path, {})
    wrong = [("nonsense", "1"), ("nonsense", "")]
    wrong += [(each.name, value) for each in route.parameters for value in BAD[each.name]]
    faults = []
    for parameter, value in wrong:
        given = dict(needed)
        if parameter in ("from", "to") and route.path == "/v1/log/proof":
            given = {"from": "1", "to": "1"}
        reply = send(service, route, path, given | {parameter: value})
        pointers = [each["pointer"] for each in reply.json().get("errors", [])] if reply.status == 400 else []
        if f"/{parameter}" not in pointers:
            faults.append((parameter, value[:30], reply.status, reply.body[:200]))
    assert faults == []
    problem_of(send(service, route, path, needed, "&%ff=1"), 400)
    many = "".join(f"&n{number}=1" for number in range(limits.QUERY_PARAMETERS_MAX + 1))
    problem_of(send(service, route, path, needed, many), 400)


@pytest.mark.parametrize("name", [name for name, route in ROUTES.items() if "{" in route.path])
def test_ids_in_paths_are_refused(service: ServiceProcess, name: str) -> None:
    route = ROUTES[name]
    faults = []
    for value in [each for each in IDS if each] + ["%ff" * 64, "..%2f" * 16]:
        path = route.path.replace("{key_id}", value).replace("{hash}", value).replace("{id}", value)
        reply = send(service, route, path, {})
        if reply.status not in (400, 404) or not reply.json().get("code"):
            faults.append((value[:30], reply.status, reply.body[:200]))
    assert faults == []


@pytest.mark.parametrize("name", [name for name, route in ROUTES.items() if has_cursor(route)])
def test_cursors_of_elsewhere_and_altered_ones_are_refused(service: ServiceProcess, name: str) -> None:
    route = ROUTES[name]
    own = service.get("/v1/epoch?limit=1").json()["next_cursor"]
    assert own
    altered = ("B" if own[0] == "A" else "A") + own[1:]
    cursors = [altered, own[:-1], own + own] + ([own] if route.path != "/v1/epoch" else [])
    for cursor in cursors:
        reply = send(service, route, path_of(route), NEEDED.get(route.path, {}) | {"cursor": cursor})
        problem = problem_of(reply, 400)
        assert problem["errors"][0]["pointer"] == "/cursor", cursor
        # Two lists, of what is in memory only, go on behind an id or a number that anybody may read.
        is_opaque = CURSOR in route.parameters
        assert problem["code"] == ("bad_cursor" if is_opaque else "validation")


@pytest.mark.parametrize("name", BODIES)
def test_bodies_are_refused(service: ServiceProcess, name: str) -> None:
    good, field = BODIES[name]
    path = ROUTES[name].path
    whole, text = json.dumps(good()).encode(), json.dumps(good()[field]).encode()
    for body, code in (
        (b"", "malformed_json"),
        (whole[:-5], "malformed_json"),
        (whole + b"x", "malformed_json"),
        (b"\xef\xbb\xbf" + whole, "malformed_json"),
        (b"[]", "validation"),
        (b"null", "validation"),
        (b"{}", "validation"),
        (b"[" * 500_000, "validation"),
        (whole.replace(text, b"12"), "validation"),
        (whole.replace(text, b"null"), "validation"),
        (whole.replace(text, b"NaN"), "malformed_json"),
        (whole.replace(text, b"-Infinity"), "malformed_json"),
        (whole.replace(text, b'""'), "validation"),
        (whole.replace(text, b'"\xff\xfe"'), "invalid_utf8"),
        (whole.replace(text, b'"\\ud800"'), "malformed_json"),
        (whole.replace(text, b'"a\\u0000b"'), "validation"),
        (whole.replace(text, b'"' + b"x" * 900_000 + b'"'), "validation"),
        (json.dumps(good() | {"unknown": 1}).encode(), "validation"),
    ):
        assert problem_of(service.post(path, body), 400)["code"] == code, body[:60]
    problem_of(service.post(path, b" " * (limits.BODY_BYTES_MAX + 1)), 413)
    problem_of(service.request("POST", path, whole, {"Content-Type": "text/plain"}), 415)


def test_nothing_refused_was_kept(service: ServiceProcess) -> None:
    """The last of this module's tests: what was refused before has left nothing behind."""
    kinds = {each["type"] for each in service.get("/v1/feed?limit=1000").json()["records"]}
    assert kinds == {"genesis", "source", "epoch"}
    assert service.get("/v1/admin/keys").json()["keys"] == []
    assert service.get("/v1/admin/quotas").json()["quotas"] == []
