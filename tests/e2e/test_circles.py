"""Circles: of parents and epochs there are none, of aliases there may be; nothing runs in one for ever."""

from __future__ import annotations

from typing import Any

from tests.e2e.saying import epoch
from tests.e2e.service import ServiceProcess
from tests.e2e.signing import WHEN_S, claim
from tests.e2e.test_refuse import problem_of


def say(server: ServiceProcess, path: str, body: dict[str, Any]) -> dict[str, Any]:
    reply = server.post(path, body)
    assert reply.status == 201, reply.body
    made: dict[str, Any] = reply.json()
    return made


def test_a_parent_that_becomes_its_childs_child_is_another_claim(shared_server: ServiceProcess) -> None:
    """An id covers the parent's: who closes the circle has only made the line longer."""
    first = say(shared_server, "/v1/assert", claim(subject="circle"))["hash"]
    second = say(shared_server, "/v1/supersede", claim(subject="circle", parent_hash=first))["hash"]
    third = say(shared_server, "/v1/supersede", claim(subject="circle", parent_hash=second))["hash"]
    assert len({first, second, third}) == 3
    traced = shared_server.get(f"/v1/trace/{third}").json()
    assert [each["hash"] for each in traced["parents"]] == [second, first]
    assert shared_server.get(f"/v1/trace/{first}").json()["parents"] == []
    shown = shared_server.get("/v1/query?subject=circle").json()["assertions"]
    assert [each["hash"] for each in shown] == [third]


def test_a_claim_cannot_be_its_own_parent(shared_server: ServiceProcess) -> None:
    """Naming the id beforehand changes it, and then the content is not what the id says."""
    own = say(shared_server, "/v1/assert", claim(subject="own"))["hash"]
    circular = claim(subject="own", parent_hash=own) | {"hash": own}
    assert problem_of(shared_server.post("/v1/supersede", circular), 422)["code"] == "hash_mismatch"
    assert problem_of(shared_server.post("/v1/assert", circular), 422)["code"] == "hash_mismatch"


def test_epochs_that_supersede_each_other_are_a_line(shared_server: ServiceProcess) -> None:
    first = say(shared_server, "/v1/epoch", epoch("rules"))["id"]
    in_first = say(shared_server, "/v1/assert", claim(subject="ruled", epoch=first))["hash"]
    second = say(shared_server, "/v1/epoch", epoch("new rules", supersedes=first))["id"]
    third = say(shared_server, "/v1/epoch", epoch("rules", supersedes=second))["id"]
    assert len({first, second, third}) == 3
    found = [
        shared_server.get(f"/v1/epoch/{each}").json()["superseded_by"] for each in (first, second, third)
    ]
    assert found == [[second], [third], []]
    question = "/v1/query?subject=ruled&predicate=nausea_rate&lens=epoch_aware"
    assert shared_server.get(question).json()["winner"] is None
    in_third = claim(subject="ruled", epoch=third, timestamp=WHEN_S + 1)
    winner = say(shared_server, "/v1/assert", in_third)["hash"]
    assert shared_server.get(question).json()["winner"]["hash"] == winner != in_first
    unknown = epoch("of nothing", supersedes="9" * 64)
    assert problem_of(shared_server.post("/v1/epoch", unknown), 404)["code"] == "unknown_epoch"


def test_aliases_in_a_circle_join_each_subject_once(shared_server: ServiceProcess) -> None:
    names = ["a", "b", "c"]
    for number, name in enumerate(names):
        say(shared_server, "/v1/assert", claim(subject=f"round/{name}"))
        pair = {"subject": f"round/{name}", "alias": f"round/{names[(number + 1) % 3]}"}
        say(shared_server, "/v1/alias", pair)
    for name in names:
        found = shared_server.get(f"/v1/query?subject=round/{name}&aliases=true").json()["assertions"]
        assert sorted(each["subject"] for each in found) == [f"round/{each}" for each in names]
    back = {"subject": "round/b", "alias": "round/a"}
    assert shared_server.post("/v1/alias", back).json()["status"] == "exists"  # undirected
    oneself = {"subject": "round/a", "alias": "round/a"}
    assert problem_of(shared_server.post("/v1/alias", oneself), 400)["errors"][0]["pointer"] == "/alias"
