"""Erasing through the running service: said, gone, and refused ever after."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stemedb.log.verify import verify
from tests.e2e.conftest import ServerFactory
from tests.e2e.service import ServiceProcess
from tests.e2e.signing import OTHER, claim

SECRET = "the patient's name"  # noqa: S105 - the word that must vanish


def holds(folder: Path) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "service.log"]
    return [str(path) for path in files if SECRET.encode() in path.read_bytes()]


def secret(service: ServiceProcess, subject: str, repeat: int = 5) -> str:
    body = claim(subject=subject, object={"type": "Text", "value": SECRET * repeat})
    created = service.post("/v1/assert", body)
    assert created.status == 201
    claim_hash: str = created.json()["hash"]
    return claim_hash


def test_erase_now_while_serving(server: ServerFactory) -> None:
    service = server()
    gone = [secret(service, f"patient/{number}", 1 + 40 * number) for number in range(30)]
    service.post("/v1/assert", claim(OTHER, subject="patient/0", object={"type": "Text", "value": SECRET}))
    content = {"source_hash": "07" * 32, "title": "a letter", "content": SECRET * 100}
    assert service.post("/v1/source", content).status == 201
    kept = service.post("/v1/assert", claim(subject="patient/0")).json()
    head = service.get("/v1/log/head").json()
    assert holds(service.folder)
    erased = service.post(
        "/v1/admin/erase",
        {"hashes": [*gone, "07" * 32], "reason": "a wish", "now": True},
        {"X-Agent-Id": "me"},
    )
    assert erased.status == 202
    reply = erased.json()
    assert (reply["status"], reply["seq"]) == ("created", head["seq"] + 1)
    assert int(erased.headers["Stemedb-Seq"]) == reply["seq"]
    assert [(each["name"], each["state"]) for each in reply["copies"]] == [("log", "done"), ("view", "done")]
    assert holds(service.folder) == []
    for path in (f"/v1/assertion/{gone[3]}", f"/v1/trace/{gone[3]}", f"/v1/source/{'07' * 32}"):
        answer = service.get(path)
        assert (answer.status, answer.json()["code"]) == (410, "erased")
    again = service.post("/v1/assert", claim(subject="patient/0", object={"type": "Text", "value": SECRET}))
    assert again.status == 410
    assert service.get(f"/v1/assertion/{kept['hash']}").status == 200
    feed = service.get("/v1/feed?limit=1000").json()["records"]
    assert [each["seq"] for each in feed] == list(range(1, reply["seq"] + 1))
    assert SECRET not in service.get("/v1/feed?limit=1000").body.decode()
    service.restart()
    assert service.get(f"/v1/assertion/{gone[0]}").status == 410
    assert service.stop() == 0
    assert verify(service.folder / "wal").whole
    assert holds(service.folder) == []


def test_erase_later_says_until_when(shared_server: ServiceProcess) -> None:
    one = secret(shared_server, "patient/later")
    body = {"hashes": [one, one], "reason": "a wish"}
    reply = shared_server.post("/v1/admin/erase", body).json()
    log, view = reply["copies"]
    assert (log["state"], log["until"], view["state"]) == ("done", None, "pending")
    assert view["until"] > 0
    again = shared_server.post("/v1/admin/erase", body)
    assert (again.status, again.json()["status"], again.json()["seq"]) == (202, "exists", reply["seq"])
    done = shared_server.post("/v1/admin/erase", {**body, "now": True}).json()
    assert [each["state"] for each in done["copies"]] == ["done", "done"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"hashes": [], "reason": "x"}, 400),
        ({"hashes": ["00" * 32], "reason": ""}, 400),
        ({"hashes": ["00" * 32], "reason": "x" * 1001}, 400),
        ({"hashes": ["00" * 31], "reason": "x"}, 400),
        ({"hashes": ["0G" * 32], "reason": "x"}, 400),
        ({"hashes": ["AA" * 32], "reason": "x"}, 400),
        ({"hashes": ["00" * 32] * 1001, "reason": "x"}, 400),
        ({"hashes": ["00" * 32], "reason": "x", "now": "yes"}, 400),
        ({"hashes": ["00" * 32], "reason": "x", "more": 1}, 400),
        ({"hashes": "00" * 32, "reason": "x"}, 400),
        ({"hashes": ["00" * 32], "reason": "x"}, 404),
    ],
)
def test_erase_refuses(shared_server: ServiceProcess, body: dict[str, object], status: int) -> None:
    before = shared_server.get("/v1/health").json()["seq"]
    refused = shared_server.post("/v1/admin/erase", body)
    assert refused.status == status
    assert re.fullmatch("[a-z_]+", refused.json()["code"])
    assert shared_server.get("/v1/health").json()["seq"] == before


def test_erase_refuses_all_when_one_is_unknown(shared_server: ServiceProcess) -> None:
    one = secret(shared_server, "patient/stays")
    refused = shared_server.post("/v1/admin/erase", {"hashes": [one, "ab" * 32], "reason": "x"})
    assert (refused.status, refused.json()["code"]) == (404, "unknown_hash")
    assert shared_server.get(f"/v1/assertion/{one}").status == 200
