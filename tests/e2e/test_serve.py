"""The service serves: writes are durable and visible, and reads answer."""

from __future__ import annotations

import json

from tests.e2e.conftest import ServerFactory
from tests.e2e.service import ServiceProcess
from tests.e2e.signing import OTHER, claim, line


def test_assert_creates_then_exists_then_endorses(shared_server: ServiceProcess) -> None:
    one = claim(subject="fda://drug/created")
    created = shared_server.post("/v1/assert", one)
    assert created.status == 201
    assert created.json()["status"] == "created"
    again = shared_server.post("/v1/assert", one)
    assert (again.status, again.json()["status"]) == (200, "exists")
    assert again.json()["hash"] == created.json()["hash"]
    endorsed = shared_server.post("/v1/assert", claim(OTHER, subject="fda://drug/created"))
    assert (endorsed.status, endorsed.json()["status"]) == (200, "endorsed")
    assert endorsed.json()["seq"] == created.json()["seq"]
    assert int(endorsed.headers["Stemedb-Seq"]) > created.json()["seq"]


def test_claims_survive_restart_and_kill(server: ServerFactory) -> None:
    service = server()
    created = service.post("/v1/assert", claim()).json()
    service.restart()
    assert service.get(f"/v1/assertion/{created['hash']}").json()["seq"] == created["seq"]
    second = service.post("/v1/assert", claim(predicate="other")).json()
    service.kill()
    service.start()
    assert service.get(f"/v1/assertion/{second['hash']}").status == 200
    assert service.get("/v1/health").json()["assertions_count"] == 2


def test_bulk_reports_each_line_in_order(shared_server: ServiceProcess) -> None:
    reply = shared_server.bulk([line(1), line(2), b"{broken", b"", line(5)])
    results = [json.loads(each) for each in reply.body.splitlines()]
    assert [each["line"] for each in results] == [1, 2, 3, 5]
    assert [each.get("status") for each in results] == ["created", "created", None, "created"]
    assert results[2]["problem"]["status"] == 400
    assert shared_server.get(f"/v1/assertion/{results[3]['hash']}").status == 200
