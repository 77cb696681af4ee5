"""Doubtful claims against a running service: no reader meets them, and an administrator decides."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stemedb.api.app import all_routes
from stemedb.engine import EngineSettings, open_engine
from stemedb.lens import LENSES
from stemedb.model import Signer
from tests.e2e.conftest import ServerFactory
from tests.e2e.guarded import Guarded
from tests.e2e.saying import source, vote
from tests.e2e.service import Reply, ServiceProcess
from tests.e2e.signing import OTHER, SIGNER, WHEN_S, claim, line
from tests.guard.test_content import changed, prose

DEFENDED = {"STEMEDB_CONTENT_DEFENSE_ENABLED": "true"}
METERED = DEFENDED | {"STEMEDB_METER_ENABLED": "true", "STEMEDB_METER_QUOTA": "100"}
CANARY = "canary"
JUNK = f"{CANARY}aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
HIDER = Signer(b"hider".ljust(32))  # has said nothing that is visible
EVIDENCE = source("a letter")["source_hash"]


def junk(signer: Signer = SIGNER, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any field of a claim
    return claim(signer, **{"object": {"type": "Text", "value": JUNK}, "confidence": 0.5} | fields)


def held(service: ServiceProcess, body: dict[str, Any], path: str = "/v1/assert") -> str:
    """Send a claim that must be held back; return its id."""
    reply = service.post(path, body)
    assert (reply.status, reply.json()["status"]) == (202, "quarantined"), reply.body
    content_id: str = reply.json()["hash"]
    return content_id


def waiting(service: ServiceProcess, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = service.get(f"/v1/admin/quarantine{query}").json()["quarantine"]
    return found


def decide(service: ServiceProcess, claim_hash: str, what: str) -> Reply:
    return service.post(f"/v1/admin/quarantine/{claim_hash}/{what}", b"")


@pytest.fixture
def service(server: ServerFactory) -> ServiceProcess:
    return server(env=DEFENDED)


# -- invisible to every read path --

QUESTION = "subject=fda://drug/semaglutide&predicate=nausea_rate"
READS: dict[str, list[str]] = {
    "/v1/query": [
        f"?{QUESTION}&lifecycle=any",
        "?subject=fda://drug/semaglutide&predicate=*&lifecycle=any",
        f"?subject={CANARY}/only&lifecycle=any",
        f"?{QUESTION}&since=1",
        f"?{QUESTION}&agent_id={HIDER.agent_id.hex()}",
        f"?{QUESTION}&vector_near=1,0",
        f"?{QUESTION}&visual_near=0000000000000000&visual_threshold=64",
        f"?{QUESTION}&as_of={WHEN_S}",
        f"?{QUESTION}&known_at=4",
        "?subject=fda://drug/semaglutide&lens=constraints",
        *(f"?{QUESTION}&lens={lens}" for lens in LENSES),
    ],
    "/v1/skeptic": [f"?{QUESTION}", f"?{QUESTION}&lifecycle=any"],
    "/v1/layered": [f"?{QUESTION}"],
    "/v1/constraints": ["?subject=fda://drug/semaglutide", "?subject=fda://drug/semaglutide&lifecycle=any"],
    "/v1/assertion/{hash}": [""],
    "/v1/trace/{hash}": [""],
    "/v1/feed": ["?after=0&limit=1000"],
    "/v1/source": [""],
    "/v1/source/{hash}": [""],
    "/v1/source/{hash}/impact": [""],
    "/v1/epoch": [""],
    "/v1/epoch/{id}": [""],
    "/v1/alias": [""],
    "/v1/alias/{id}": [""],
    "/v1/gold-standard": [""],
    "/v1/gold-standard/{id}": [""],
    "/v1/agent/{id}": [""],
    "/v1/concepts": ["", f"?prefix={CANARY}", f"?as_of={WHEN_S}", "?known_at=4"],
    "/v1/escalations": ["", "?known_at=4"],
    "/v1/audit/queries": [""],
    "/v1/audit/query/{id}": [""],
    "/v1/log/head": [""],
    "/v1/log/proof": ["?from=1&to=4"],
    "/v1/health": [""],
    "/livez": [""],
    "/readyz": [""],
    "/metrics": [""],
    "/openapi.json": [""],
    "/api-doc/openapi.json": [""],
    "/docs": [""],
    "/v1/meter/quota": [""],
    "/v1/admission/status": [f"?agent_id={HIDER.agent_id.hex()}"],
    "/v1/admin/keys": [""],
    "/v1/admin/quotas": [""],
    "/v1/admin/circuit_breakers": [""],
    "/v1/admin/storage/stats": [""],
    "/v1/admin/slow-queries": [""],
    "/v1/admin/backup": [""],
}
"""Every path that can be read, and what to ask it. The quarantine's own list is the one that is missing."""

SHOWS_IT = {"/v1/admin/quarantine"}


@pytest.fixture(scope="module")
def hiding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServiceProcess, list[str]]]:
    """Return a service that holds claims back which touch all there is, and their ids."""
    running = ServiceProcess(tmp_path_factory.mktemp("hiding"), env=DEFENDED).start()
    assert running.post("/v1/source", source("a letter")).status == 201
    parent = running.post("/v1/assert", claim(source_hash=EVIDENCE)).json()["hash"]
    rule = claim(predicate="must_use", object={"type": "Text", "value": "the small dose"}, confidence=0.5)
    assert running.post("/v1/assert", rule).status == 201
    full: dict[str, Any] = {
        "parent_hash": parent,
        "source_hash": EVIDENCE,
        "lifecycle": "Approved",
        "visual_hash": "0" * 16,
        "vector": [1.0, 0.0],
    }
    ids = [
        held(running, junk(HIDER, **full)),
        held(running, junk(HIDER, subject=f"{CANARY}/only")),
        held(running, junk(HIDER, predicate="must_use")),
        held(running, junk(SIGNER, predicate=CANARY, source_class="Anecdotal")),
        held(running, junk(HIDER, parent_hash=parent), "/v1/supersede"),
    ]
    yield running, [parent, *ids]
    running.close()


def paths(service: ServiceProcess, route: str, known: list[str]) -> list[str]:
    ids = known[1:]
    if route == "/v1/agent/{id}":
        ids = [HIDER.agent_id.hex()]
    elif route == "/v1/audit/query/{id}":
        service.get(f"/v1/query?{QUESTION}&lens=consensus")
        ids = [each["id"] for each in service.get("/v1/audit/queries").json()["queries"]]
        assert ids
    elif route.startswith("/v1/source/"):
        ids = [EVIDENCE]
    elif "{hash}" in route:
        ids = known
    return [re.sub(r"{\w+}", each, route) for each in ids] if "{" in route else [route]


def test_every_path_that_can_be_read_is_considered() -> None:
    assert sorted([*READS, *SHOWS_IT]) == sorted(
        route.path for route in all_routes() if route.method == "GET"
    )


@pytest.mark.parametrize("route", READS)
def test_no_reader_meets_what_is_held_back(route: str, hiding: tuple[ServiceProcess, list[str]]) -> None:
    service, known = hiding
    for path in paths(service, route, known):
        for query in READS[route]:
            reply = service.get(path + query)
            assert reply.status in (200, 404), (path + query, reply.body)
            # An audit holds what was asked, too.
            said = re.sub(r'"parameters":\{[^}]*\}', "", reply.body.decode())
            assert CANARY not in said, path + query
            if reply.status == 200 and HIDER.agent_id.hex() not in path + query:
                assert HIDER.agent_id.hex() not in said, path + query
            assert [each for each in known[1:] if reply.status == 200 and each in said] == []


def test_nothing_counts_what_is_held_back(hiding: tuple[ServiceProcess, list[str]]) -> None:
    service, (parent, *ids) = hiding
    assert service.get("/v1/health").json()["assertions_count"] == 2
    assert service.get(f"/v1/agent/{HIDER.agent_id.hex()}").json()["claims_count"] == 0
    assert service.get(f"/v1/agent/{SIGNER.agent_id.hex()}").json()["claims_count"] == 2
    (concept,) = service.get("/v1/concepts").json()["concepts"]
    assert (concept["claims_count"], concept["predicates_count"]) == (2, 2)
    shown = service.get(f"/v1/assertion/{parent}").json()
    assert (shown["hidden_by"], service.get(f"/v1/trace/{parent}").json()["children"]) == (None, [])
    metrics = service.get("/metrics").body.decode()
    for name, value in (
        ("stemedb_assertions_total", 2),
        ("stemedb_assertions_ingested_total", 2),
        ("stemedb_claims", 2),
        ("stemedb_quarantine_pending", len(ids)),
        ('stemedb_claims_quarantined_total{reason="low_quality"}', len(ids)),
    ):
        assert f"\n{name} {value}.0\n" in metrics, name
    records = service.get("/v1/feed").json()["records"]
    assert [each["seq"] for each in records if each == {"seq": each["seq"], "type": "hidden"}] == [
        5, 6, 7, 8, 9,
    ]  # fmt: skip


def test_it_cannot_be_voted_on_superseded_or_endorsed_into_view(
    hiding: tuple[ServiceProcess, list[str]],
) -> None:
    service, (_, first, *_) = hiding
    refused = service.post("/v1/vote", vote(first, 1.0))
    assert (refused.status, refused.json()["code"]) == (404, "unknown_claim")
    child = claim(parent_hash=first, confidence=0.5)
    assert service.post("/v1/supersede", child).status == 404
    assert service.get(f"/v1/assertion/{first}").status == 404


# -- sending, again and in bulk --


def test_sending_it_again_is_harmless(service: ServiceProcess) -> None:
    first = service.post("/v1/assert", junk())
    again = service.post("/v1/assert", junk())
    assert (again.status, again.json()) == (first.status, first.json())
    assert again.headers["Stemedb-Seq"] == first.headers["Stemedb-Seq"]
    assert len(waiting(service)) == 1


def test_bulk_lines_are_held_back_one_by_one(service: ServiceProcess) -> None:
    original = prose(1, 200)
    bodies = [
        junk(),
        claim(subject="plain"),
        *(
            claim(subject=f"s{at}", object={"type": "Text", "value": changed(original, at)})
            for at in range(1, 4)
        ),
        junk(),
    ]
    results = [
        json.loads(each)
        for each in service.bulk([json.dumps(body).encode() for body in bodies]).body.splitlines()
    ]
    held_back, created = "quarantined", "created"
    assert [each["status"] for each in results] == [
        held_back, created, created, held_back, held_back, held_back,
    ]  # fmt: skip
    assert results[0]["seq"] == results[5]["seq"]
    assert {reason for each in waiting(service) for reason in each["reasons"]} == {
        "low_quality", "near_duplicate",
    }  # fmt: skip
    assert waiting(service)[1]["scores"]["similar_to"] == results[2]["hash"]


def test_what_is_held_back_is_paid_for_and_what_is_there_is_not(server: ServerFactory) -> None:
    service = server(env=METERED)
    left = []
    for body in (junk(), junk(), junk(subject="other")):
        service.post("/v1/assert", body)
        found = service.get(f"/v1/meter/quota?agent_id={SIGNER.agent_id.hex()}").json()
        left.append((found["agent"]["remaining"], found["caller"]["remaining"]))
    assert left == [(90, 990), (90, 989), (80, 979)]


def test_without_the_defence_nothing_is_held_back(server: ServerFactory) -> None:
    service = server()
    assert service.post("/v1/assert", junk()).status == 201
    assert waiting(service) == []


# -- deciding --


def test_an_administrator_approves_and_rejects(service: ServiceProcess) -> None:
    one, two = held(service, junk(subject="one")), held(service, junk(subject="two"))
    head = int(service.get("/v1/log/head").json()["seq"])
    first, second = waiting(service)
    assert (first["hash"], second["hash"]) == (one, two)
    assert first["assertion"]["object"] == {"type": "Text", "value": JUNK}
    assert first["signatures"][0]["agent_id"] == SIGNER.agent_id.hex()
    assert first["scores"]["quality"] < 0.4
    approved = decide(service, one, "approve")
    assert (approved.status, approved.json()) == (201, {"hash": one, "seq": head + 1, "status": "approved"})
    assert approved.headers["Stemedb-Seq"] == str(head + 1)
    again = decide(service, one, "approve")
    assert (again.status, again.json()["status"]) == (200, "exists")
    assert service.get(f"/v1/assertion/{one}").json()["seq"] == head + 1
    assert service.get(f"/v1/assertion/{one}?known_at={head}").status == 404
    (release,) = service.get(f"/v1/feed?after={head}").json()["records"]
    assert (release["type"], release["body"]["hash"]) == ("release", one)
    assert decide(service, two, "reject").json()["status"] == "rejected"
    assert waiting(service) == []
    assert [each["hash"] for each in waiting(service, "?state=rejected")] == [two]
    refused = service.post("/v1/assert", junk(subject="two"))
    assert (refused.status, refused.json()["code"]) == (409, "claim_rejected")
    for path, status, code in (
        (f"{one}/reject", 409, "already_released"),
        (f"{'0' * 64}/approve", 404, "not_quarantined"),
        (f"{'0' * 64}/reject", 404, "not_quarantined"),
        ("xyz/reject", 400, "bad_hex"),
    ):
        found = service.post(f"/v1/admin/quarantine/{path}", b"")
        assert (found.status, found.json()["code"]) == (status, code)
    assert service.get("/v1/admin/quarantine?state=maybe").status == 400


def test_the_list_has_pages(service: ServiceProcess) -> None:
    ids = [held(service, junk(subject=f"s{at}")) for at in range(5)]
    found: list[str] = []
    cursors = [""]
    while len(found) < len(ids):
        page = service.get(f"/v1/admin/quarantine?limit=2{cursors[-1]}").json()
        found += [each["hash"] for each in page["quarantine"]]
        cursors.append(f"&cursor={page['next_cursor']}")
    assert (found, page["next_cursor"]) == (ids, None)
    first = cursors[1].removeprefix("&cursor=")
    assert service.get(f"/v1/admin/quarantine?state=rejected&cursor={first}").status == 400


def test_a_decision_names_its_key_in_the_log(tmp_path: Path) -> None:
    own = Guarded(tmp_path / "own", CONTENT_DEFENSE_ENABLED="true")
    try:
        admin = own.make_key("admin")
        sent = own.service.post("/v1/assert", junk(), own.header(own.make_key("writer")["key"])).json()
        path = f"/v1/admin/quarantine/{sent['hash']}/approve"
        assert own.service.post(path, b"", own.header(admin["key"])).status == 201
        own.service.stop()
    finally:
        own.service.close()
    lines = [json.loads(each) for each in own.service.log.splitlines() if each.startswith("{")]
    (decided,) = [each for each in lines if each["event"] == "quarantine decided"]
    assert (decided["claim"], decided["by"]) == (sent["hash"], admin["id"])
    assert CANARY not in own.service.log


# -- what lasts --


def test_kills_restarts_and_rebuilds_lose_nothing(service: ServiceProcess) -> None:
    original = prose(2, 200)
    assert service.post("/v1/assert", claim(object={"type": "Text", "value": original})).status == 201
    one, two, three = (held(service, junk(subject=f"s{at}")) for at in range(3))
    assert decide(service, one, "approve").status == 201
    assert decide(service, two, "reject").status == 201
    before = waiting(service)
    service.kill()
    settings = EngineSettings(
        service.folder / "wal", service.folder / "db", service.folder / "wal" / "keys", 1 << 20, 1
    )
    engine = open_engine(settings)
    digest = engine.view.digest()
    engine.close()
    for path in (service.folder / "db").glob("*.mdb"):
        path.unlink()
    engine = open_engine(settings)
    assert engine.view.digest() == digest
    engine.close()
    service.start()
    assert waiting(service) == before
    assert [each["hash"] for each in waiting(service)] == [three]
    assert service.get(f"/v1/assertion/{one}").status == 200
    assert service.get(f"/v1/assertion/{two}").status == 404
    assert service.post("/v1/assert", junk(subject="s1")).status == 409
    near = claim(subject="near", object={"type": "Text", "value": changed(original, 2)})
    assert service.post("/v1/assert", near).status == 202
    assert service.post("/v1/assert", near | claim(OTHER, **_said(near))).status == 201


def _said(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in ("signatures", "hash")}


def test_erasing_takes_it_out_of_the_quarantine(service: ServiceProcess) -> None:
    one = held(service, junk())
    erased = service.post("/v1/admin/erase", {"hashes": [one], "reason": "a wish", "now": True})
    assert erased.status == 202
    assert waiting(service) == []
    assert service.post("/v1/assert", junk()).status == 410
    assert decide(service, one, "approve").status == 410
    service.stop()
    files = [
        path for folder in ("wal", "db") for path in (service.folder / folder).rglob("*.*") if path.is_file()
    ]
    assert [path for path in files if JUNK.encode() in path.read_bytes()] == []


def test_lines_of_strangers_do_not_fill_the_log(service: ServiceProcess) -> None:
    service.bulk([line(1, object={"type": "Text", "value": JUNK + "\\u001b[31m"})])
    service.stop()
    assert CANARY not in service.log
    assert '"event":"claim held back"' in service.log
