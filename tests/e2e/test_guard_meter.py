"""Quotas, work and breakers against a running service: what they cost, and whom."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from stemedb.model import Signer
from stemedb.model.work import solve
from tests.e2e.conftest import ServerFactory
from tests.e2e.guarded import Guarded
from tests.e2e.service import Reply, ServiceProcess
from tests.e2e.signing import OTHER, SIGNER, claim, line

QUOTA = 100
METERED = {"STEMEDB_METER_ENABLED": "true", "STEMEDB_METER_QUOTA": str(QUOTA)}


@pytest.fixture
def metered(server: ServerFactory) -> ServiceProcess:
    return server(env=METERED)


def left(reply: Reply) -> int:
    assert reply.headers["X-Quota-Limit"] in (str(QUOTA), str(10 * QUOTA))
    return int(reply.headers["X-Quota-Remaining"])


def quota(service: ServiceProcess, agent: Signer) -> tuple[int, int]:
    """Return what is left to the agent and to the caller."""
    found = service.get(f"/v1/meter/quota?agent_id={agent.agent_id.hex()}").json()
    return found["agent"]["remaining"], found["caller"]["remaining"]


def test_costs_are_as_specified(metered: ServiceProcess) -> None:
    assert quota(metered, SIGNER) == (100, 1000)
    made = metered.post("/v1/assert", claim(subject="meter/one"))
    assert (made.status, left(made)) == (201, 90)
    assert quota(metered, SIGNER) == (90, 990)
    assert metered.post("/v1/assert", claim(subject="meter/one")).status == 200
    assert quota(metered, SIGNER) == (90, 989)
    metered.get("/v1/query?subject=meter/one")
    assert quota(metered, SIGNER) == (90, 984)
    metered.get("/v1/query?subject=meter/one&predicate=nausea_rate&lens=Recency")
    metered.get("/v1/query?subject=meter/one&predicate=nausea_rate&%6cens[]=Recency")
    metered.get("/v1/skeptic?subject=meter/one&predicate=nausea_rate")
    assert quota(metered, SIGNER) == (90, 966)
    long = claim(subject="meter/two", object={"type": "Text", "value": "x" * 3000})
    assert left(metered.post("/v1/assert", long)) == 90 - 10 - len(json.dumps(long)) // 1024


def test_an_agent_beyond_its_quota_waits_and_others_do_not(metered: ServiceProcess) -> None:
    for number in range(10):
        assert metered.post("/v1/assert", claim(subject=f"meter/{number}")).status == 201
    for headers in ({}, {"X-Agent-Id": OTHER.agent_id.hex()}):
        refused = metered.post("/v1/assert", claim(subject="meter/more"), headers)
        assert (refused.status, refused.json()["code"]) == (429, "quota_exceeded")
        assert 300 < int(refused.headers["Retry-After"]) <= 360  # ten tokens at a hundred an hour
        assert left(refused) < 10
    assert metered.post("/v1/assert", claim(OTHER, subject="meter/more")).status == 201
    results = [json.loads(each) for each in metered.bulk([line(1), line(2)]).body.splitlines()]
    assert [each["problem"]["status"] for each in results] == [429, 429]


def test_bulk_is_charged_line_by_line(metered: ServiceProcess) -> None:
    results = [
        json.loads(each) for each in metered.bulk([line(number) for number in range(12)]).body.splitlines()
    ]
    landed = [each["line"] - 1 for each in results if each.get("status") == "created"]
    assert len(landed) == 10
    assert {each["problem"]["code"] for each in results if "problem" in each} == {"quota_exceeded"}
    before = quota(metered, SIGNER)
    again = metered.bulk([line(number) for number in landed]).body
    assert again.count(b'"exists"') == 10
    assert (quota(metered, SIGNER)[0], before[1] - quota(metered, SIGNER)[1]) == (before[0], 10)


def test_many_agents_are_still_one_caller(metered: ServiceProcess) -> None:
    made = 0
    for number in range(150):
        stranger = Signer(number.to_bytes(32, "little"))
        made += metered.post("/v1/assert", claim(stranger, subject=f"meter/crowd/{number}")).status == 201
    assert 95 <= made <= 101


def test_what_an_agent_did_not_sign_costs_its_sender_only(metered: ServiceProcess) -> None:
    forged = claim(subject="meter/forged")
    forged["signatures"][0]["signature"] = "00" * 64
    for _ in range(10):
        assert metered.post("/v1/assert", forged).status == 422
    assert quota(metered, SIGNER) == (100, 900)
    assert metered.post("/v1/assert", claim(subject="meter/true")).status == 201


def test_usage_survives_restarts_and_kills(metered: ServiceProcess) -> None:
    for number in range(10):
        metered.post("/v1/assert", claim(subject=f"meter/{number}"))
    metered.restart()
    assert metered.post("/v1/assert", claim(subject="meter/after")).status == 429
    file = metered.folder / "db" / "meter.balances"
    assert file.stat().st_mode & 0o777 == 0o600
    saved = file.stat().st_mtime_ns
    deadline = time.monotonic() + 10
    while file.stat().st_mtime_ns == saved and time.monotonic() < deadline:
        time.sleep(0.05)
    metered.kill()
    metered.start()
    assert metered.post("/v1/assert", claim(subject="meter/after")).status == 429
    file.write_bytes(b"damaged")
    metered.kill()
    file.write_bytes(b"damaged")
    metered.start()
    assert metered.post("/v1/assert", claim(subject="meter/after")).status == 201


def test_without_a_meter_nothing_is_counted(shared_server: ServiceProcess) -> None:
    reply = shared_server.post("/v1/assert", claim(subject="meter/none"))
    assert "X-Quota-Limit" not in reply.headers
    assert shared_server.get("/v1/meter/quota").json() == {
        "enabled": False,
        "caller": None,
        "agent_id": None,
        "agent": None,
    }


# -- work --


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    service = ServiceProcess(
        tmp_path_factory.mktemp("strict"), env={"STEMEDB_ADMISSION_ENABLED": "true"}
    ).start()
    yield service
    service.close()


def worked(agent: Signer, bits: int) -> dict[str, str]:
    proof = solve(agent.agent_id, bits, int(time.time()))
    return {"X-PoW-Nonce": str(proof.nonce), "X-PoW-Timestamp": str(proof.timestamp)}


def test_a_stranger_works_first_and_each_proof_admits_once(strict: ServiceProcess) -> None:
    refused = strict.post("/v1/assert", claim(subject="work/one"))
    problem = refused.json()
    assert (refused.status, problem["difficulty_bits"], problem["max_age_s"]) == (428, 16, 300)
    assert problem["agent_id"] == SIGNER.agent_id.hex()
    proof = worked(SIGNER, 16)
    assert strict.post("/v1/assert", claim(OTHER, subject="work/one"), proof).status == 428
    assert strict.post("/v1/assert", claim(subject="work/one"), proof).status == 201
    assert strict.post("/v1/assert", claim(subject="work/one"), {}).status == 200  # it is there: no work
    used = strict.post("/v1/assert", claim(subject="work/two"), proof)
    assert (used.status, used.json()["code"]) == (428, "proof_used")
    old = proof | {"X-PoW-Timestamp": "1"}
    assert strict.post("/v1/assert", claim(subject="work/two"), old).json()["code"] == "proof_expired"
    assert strict.post("/v1/assert", claim(subject="work/two"), {"X-PoW-Nonce": "x"}).status == 400


def test_bulk_takes_no_strangers(strict: ServiceProcess) -> None:
    stranger = Signer(b"s" * 32)
    (result,) = strict.bulk([json.dumps(claim(stranger)).encode()]).body.splitlines()
    assert json.loads(result)["problem"]["difficulty_bits"] == 16


def test_the_status_says_what_is_needed(strict: ServiceProcess) -> None:
    found = strict.get(f"/v1/admission/status?agent_id={'ab' * 32}").json()
    assert (found["enabled"], found["standing"], found["difficulty_bits"]) == (True, "Verified", 16)
    assert strict.get("/v1/admission/status").status == 400
    assert strict.get("/v1/admission/status?agent_id=x").status == 400


# -- breakers --


def test_an_agent_that_floods_is_shut_out_and_let_in_again(server: ServerFactory) -> None:
    service = server()
    path = f"/v1/admin/circuit_breakers/{SIGNER.agent_id.hex()}"
    orphans = [claim(subject=f"flood/{number}", parent_hash="11" * 32) for number in range(7)]
    for _ in range(9):  # the same one again proves nothing new
        assert service.post("/v1/supersede", orphans[0]).status == 404
    for orphan in orphans[1:5]:
        assert service.post("/v1/supersede", orphan).status == 404
    for refused in (service.post("/v1/supersede", orphans[5]), service.post("/v1/assert", claim())):
        assert (refused.status, refused.json()["code"]) == (429, "breaker_open")
        assert 25 <= int(refused.headers["Retry-After"]) <= 30
    assert service.post("/v1/assert", claim(OTHER)).status == 201
    assert b"\nstemedb_circuit_breakers_open 1.0\n" in service.get("/metrics").body
    listed = service.get("/v1/admin/circuit_breakers").json()["circuit_breakers"]
    assert listed == [{"agent_id": SIGNER.agent_id.hex(), "state": "open"}]
    assert service.post(f"{path}/reset", b"").json()["state"] == "closed"
    assert service.post("/v1/assert", claim()).status == 200  # signed by the other agent before
    assert service.post(f"{path}/open", b"").json()["state"] == "open"
    assert service.post("/v1/assert", claim(subject="flood/after")).status == 429
    service.stop()
    assert '"event":"breaker opened"' in service.log


def test_forgeries_shut_nobody_out(server: ServerFactory) -> None:
    service = server()
    for number in range(10):
        forged = claim(subject=f"flood/{number}")
        forged["signatures"][0]["signature"] = "00" * 64
        assert service.post("/v1/assert", forged).status == 422
    assert service.post("/v1/assert", claim()).status == 201


def test_forgeries_by_a_bound_key_shut_its_agent_out(tmp_path_factory: pytest.TempPathFactory) -> None:
    own = Guarded(tmp_path_factory.mktemp("bound"))
    try:
        header = own.header(own.make_key("writer", agent_ids=[SIGNER.agent_id.hex()])["key"])
        forged = claim()
        forged["signatures"][0]["signature"] = "00" * 64
        for _ in range(5):
            assert own.service.post("/v1/assert", forged, header).status == 422
        assert own.service.post("/v1/assert", claim(), header).status == 429
    finally:
        own.service.close()


def test_an_agent_with_a_quota_of_its_own(server: ServerFactory) -> None:
    """Less for one, as before for another, over a restart; then what everybody has again."""
    service = server(env=METERED)
    agent_id = SIGNER.agent_id.hex()
    assert service.post("/v1/admin/quotas", {"agent_id": agent_id, "tokens": 20}).status == 201
    assert service.post("/v1/admin/quotas", {"agent_id": agent_id, "tokens": 20}).status == 200
    statuses = [service.post("/v1/assert", claim(subject=f"own/{number}")).status for number in range(4)]
    assert statuses == [201, 201, 429, 429]
    assert service.post("/v1/assert", claim(OTHER, subject="own/other")).status == 201
    assert service.stop() == 0
    service.start()
    assert service.post("/v1/assert", claim(subject="own/more")).status == 429
    (listed,) = service.get("/v1/admin/quotas").json()["quotas"]
    assert (listed["agent_id"], listed["tokens"], listed["by"]) == (agent_id, 20, None)
    assert service.request("DELETE", f"/v1/admin/quotas/{agent_id}", None).status == 204
    gone = service.request("DELETE", f"/v1/admin/quotas/{agent_id}", None)
    assert (gone.status, gone.json()["code"]) == (404, "unknown_quota")
    assert service.get(f"/v1/meter/quota?agent_id={agent_id}").json()["agent"]["limit"] == QUOTA


@pytest.mark.parametrize(
    "body",
    [
        {"agent_id": "ab" * 32, "tokens": 0},
        {"agent_id": "ab" * 32, "tokens": -1},
        {"agent_id": "ab" * 32, "tokens": 1.5},
        {"agent_id": "ab" * 32, "tokens": 10**9 + 1},
        {"agent_id": "ab" * 31, "tokens": 5},
        {"agent_id": "AB" * 32, "tokens": 5},
        {"agent_id": "ab" * 32},
        {"agent_id": "ab" * 32, "tokens": 5, "more": 1},
    ],
)
def test_quotas_refuse(shared_server: ServiceProcess, body: dict[str, object]) -> None:
    refused = shared_server.post("/v1/admin/quotas", body)
    assert (refused.status, refused.headers["Content-Type"]) == (400, "application/problem+json")
    assert shared_server.get("/v1/admin/quotas").json()["quotas"] == []
