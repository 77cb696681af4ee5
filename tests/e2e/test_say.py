"""What is said beside plain claims: votes, epochs, sources, corrections, aliases, what is settled."""

from __future__ import annotations

from typing import Any

from tests.e2e.saying import epoch, source, vote
from tests.e2e.service import Reply, ServiceProcess
from tests.e2e.signing import OTHER, SIGNER, claim
from tests.e2e.test_refuse import problem_of


def asserted(server: ServiceProcess, **fields: Any) -> str:  # noqa: ANN401 (any field of a claim)
    reply = server.post("/v1/assert", claim(**fields))
    assert reply.status in (200, 201), reply.body
    found: str = reply.json()["hash"]
    return found


def made(server: ServiceProcess, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Make something twice: it is created, and then it exists."""
    created, again = server.post(path, body), server.post(path, body)
    assert (created.status, created.json()["status"]) == (201, "created"), created.body
    assert (again.status, again.json()["status"]) == (200, "exists"), again.body
    assert created.json() | {"status": "exists"} == again.json()
    assert int(created.headers["Stemedb-Seq"]) >= created.json()["seq"]
    found: dict[str, Any] = created.json()
    return found


def patched(server: ServiceProcess, path: str, body: bytes) -> Reply:
    return server.request("PATCH", path, body, {"Content-Type": "application/json"})


def test_votes_count_and_the_last_word_of_an_agent_stands(shared_server: ServiceProcess) -> None:
    claim_id = asserted(shared_server, subject="vote/counted")
    made(shared_server, "/v1/vote", vote(claim_id, 1.0))
    made(shared_server, "/v1/vote", vote(claim_id, 0.5, OTHER))
    made(shared_server, "/v1/vote", vote(claim_id, -1, SIGNER, at=1_700_000_001))
    shown = shared_server.get(f"/v1/assertion/{claim_id}").json()
    assert shown["votes"] == {"count": 2, "weight": -0.5}
    traced = shared_server.get(f"/v1/trace/{claim_id}").json()
    assert [(each["weight"], each["live"]) for each in traced["votes"]] == [
        (1.0, False),
        (0.5, True),
        (-1.0, True),
    ]
    made(shared_server, "/v1/vote", vote(claim_id, 0, SIGNER, at=1_700_000_002))
    assert shared_server.get(f"/v1/assertion/{claim_id}").json()["votes"] == {"count": 1, "weight": 0.5}


def test_votes_on_unknown_claims_are_404(shared_server: ServiceProcess) -> None:
    assert problem_of(shared_server.post("/v1/vote", vote("5" * 64, 1.0)), 404)["code"] == "unknown_claim"


def test_epochs_supersede_and_their_claims_carry_a_warning(shared_server: ServiceProcess) -> None:
    old = made(shared_server, "/v1/epoch", epoch("geocentric"))["id"]
    new = made(shared_server, "/v1/epoch", epoch("heliocentric", supersedes=old, supersession="Replaces"))[
        "id"
    ]
    claim_id = asserted(shared_server, subject="epoch/sun", epoch=old)
    later = asserted(shared_server, subject="epoch/sun", epoch=new, timestamp=1_600_000_000)
    assert shared_server.get(f"/v1/epoch/{old}").json()["superseded_by"] == [new]
    assert shared_server.get(f"/v1/assertion/{claim_id}").json()["warnings"] == ["epoch_superseded"]
    question = "/v1/query?subject=epoch/sun&predicate=nausea_rate"
    assert shared_server.get(f"{question}&lens=recency").json()["winner"]["hash"] == claim_id
    assert shared_server.get(f"{question}&lens=epoch_aware").json()["winner"]["hash"] == later
    assert [each["hash"] for each in shared_server.get(f"{question}&epoch={old}").json()["assertions"]] == [
        claim_id
    ]
    assert shared_server.get(f"/v1/trace/{claim_id}").json()["epoch"]["name"] == "geocentric"


def test_epochs_supersede_only_what_is_there_so_they_form_no_circle(shared_server: ServiceProcess) -> None:
    refused = shared_server.post("/v1/epoch", epoch("orphan", supersedes="7" * 64))
    assert problem_of(refused, 404)["code"] == "unknown_epoch"
    claim_id = asserted(shared_server, subject="epoch/none")
    refused = shared_server.post("/v1/epoch", epoch("of a claim", supersedes=claim_id))
    assert problem_of(refused, 404)["code"] == "unknown_epoch"


def test_retracted_sources_take_their_claims_out_of_lenses(shared_server: ServiceProcess) -> None:
    evidence = source(
        "A trial", url="https://example.org/trial", source_class="Clinical", content="All of it."
    )
    source_hash = made(shared_server, "/v1/source", evidence)["hash"]
    assert source_hash == evidence["source_hash"]
    claim_id = asserted(shared_server, subject="source/drug", source_hash=source_hash)
    path = f"/v1/source/{source_hash}"
    assert shared_server.get(path).json()["content"] == "All of it."
    listed = [
        each for each in shared_server.get("/v1/source").json()["sources"] if each["title"] == "A trial"
    ]
    assert listed
    assert "content" not in listed[0]
    question = "/v1/query?subject=source/drug&predicate=nausea_rate&lens=recency"
    assert shared_server.get(question).json()["winner"]["source_status"] == "Active"
    disputed = patched(shared_server, path, b'{"status": "Disputed"}')
    assert (disputed.status, disputed.json()["status"]) == (200, "created")
    assert patched(shared_server, path, b'{"status": "Disputed"}').json()["status"] == "exists"
    assert shared_server.get(question).json()["winner"]["warnings"] == ["source_disputed"]
    assert patched(shared_server, path, b'{"status": "Retracted"}').status == 200
    assert shared_server.get(question).json()["winner"] is None
    impact = shared_server.get(f"{path}/impact").json()
    assert impact["source"]["status"] == "Retracted"
    assert [each["hash"] for each in impact["claims"]] == [claim_id]
    assert impact["claims"][0]["warnings"] == ["source_retracted"]


def test_sources_conflict_where_their_hash_is_taken(shared_server: ServiceProcess) -> None:
    one = source("Taken")
    assert shared_server.post("/v1/source", one).status == 201
    refused = shared_server.post("/v1/source", one | {"title": "Other"})
    assert problem_of(refused, 409)["code"] == "source_exists"


def test_statuses_of_unknown_sources_are_404(shared_server: ServiceProcess) -> None:
    refused = patched(shared_server, f"/v1/source/{'4' * 64}", b'{"status": "Active"}')
    assert problem_of(refused, 404)["code"] == "unknown_source"
    refused = patched(shared_server, f"/v1/source/{'4' * 63}", b'{"status": "Active"}')
    assert problem_of(refused, 400)["code"] == "bad_hex"


def test_superseding_needs_a_parent_about_the_same(shared_server: ServiceProcess) -> None:
    parent = asserted(shared_server, subject="supersede/x")
    body = claim(subject="supersede/x", parent_hash=parent, timestamp=1_700_000_001, confidence=0.95)
    child = made(shared_server, "/v1/supersede", body)["hash"]
    assert shared_server.get(f"/v1/assertion/{parent}").json()["hidden_by"] == child
    elsewhere = claim(subject="supersede/y", parent_hash=parent)
    assert problem_of(shared_server.post("/v1/supersede", elsewhere), 409)["code"] == "other_question"
    unknown = claim(subject="supersede/x", parent_hash="3" * 64)
    assert problem_of(shared_server.post("/v1/supersede", unknown), 404)["code"] == "unknown_claim"
    assert (
        problem_of(shared_server.post("/v1/supersede", claim()), 400)["errors"][0]["pointer"]
        == "/parent_hash"
    )


def test_chains_of_parents_are_traced_to_their_end(shared_server: ServiceProcess) -> None:
    """A chain cannot close: an id contains its parent's. It may be long, or begin with a claim nobody has."""
    chain = ["6" * 64]
    for number in range(40):
        chain.append(
            asserted(shared_server, subject="chain", parent_hash=chain[-1], timestamp=1_700_000_000 + number)
        )
    traced = shared_server.get(f"/v1/trace/{chain[-1]}").json()
    assert [each["hash"] for each in traced["parents"]] == chain[-2:0:-1]
    assert [each["hash"] for each in shared_server.get(f"/v1/trace/{chain[5]}").json()["children"]] == [
        chain[6]
    ]
    shown = shared_server.get("/v1/query?subject=chain").json()["assertions"]
    assert [each["hash"] for each in shown] == [chain[-1]]


def test_aliases_join_both_ways_and_may_form_circles(shared_server: ServiceProcess) -> None:
    names = ["alias/Ozempic", "alias/Semaglutide", "alias/Wegovy"]
    for name in names:
        asserted(shared_server, subject=name, predicate="class")
    for subject, other in zip(names, [*names[1:], names[0]], strict=True):
        made(shared_server, "/v1/alias", {"subject": subject, "alias": other, "timestamp": 1_700_000_000})
    turned = {"subject": names[1], "alias": names[0], "timestamp": 1_700_000_000}
    assert shared_server.post("/v1/alias", turned).json()["status"] == "exists"
    for name in names:
        question = f"/v1/query?subject={name}&predicate=class"
        assert len(shared_server.get(question).json()["assertions"]) == 1
        joined = shared_server.get(f"{question}&aliases=true").json()["assertions"]
        assert sorted(each["subject"] for each in joined) == names
    resolved = shared_server.get(
        f"/v1/query?subject={names[2]}&predicate=class&aliases=true&lens=consensus"
    ).json()
    assert resolved["candidates_count"] == 3
    listed = shared_server.get("/v1/alias").json()["aliases"]
    assert shared_server.get(f"/v1/alias/{listed[0]['id']}").json() == listed[0]
    refused = shared_server.post("/v1/alias", {"subject": "a", "alias": "a"})
    assert problem_of(refused, 400)["errors"][0]["pointer"] == "/alias"


def test_gold_standards_move_trust(shared_server: ServiceProcess) -> None:
    right = asserted(shared_server, subject="gold/x", object={"type": "Text", "value": "yes"})
    asserted(shared_server, subject="gold/x", object={"type": "Text", "value": "no"}, signer=OTHER)
    before = shared_server.get(f"/v1/agent/{SIGNER.agent_id.hex()}").json()
    body = {
        "subject": "gold/x",
        "predicate": "nausea_rate",
        "object": {"Text": "yes"},
        "timestamp": 1_700_000_000,
    }
    gold = made(shared_server, "/v1/gold-standard", body)
    after = shared_server.get(f"/v1/agent/{SIGNER.agent_id.hex()}").json()
    assert (before["trust"], after["trust"]) == (0.5, 0.55)
    assert (after["accurate"], after["inaccurate"]) == (1, 0)
    wrong = shared_server.get(f"/v1/agent/{OTHER.agent_id.hex()}").json()
    assert (wrong["trust"], wrong["accurate"], wrong["inaccurate"]) == (0.4, 0, 1)
    question = "/v1/query?subject=gold/x&predicate=nausea_rate&lens=trust_aware_authority"
    assert shared_server.get(question).json()["winner"]["hash"] == right
    shown = shared_server.get(f"/v1/gold-standard/{gold['id']}").json()
    assert shown["object"] == {"type": "Text", "value": "yes"}
    assert shown in shared_server.get("/v1/gold-standard").json()["gold_standards"]
