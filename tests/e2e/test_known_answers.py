"""Questions whose answers are known beforehand."""

from __future__ import annotations

import json
import time
from typing import Any

import msgspec
import pytest

from stemedb.model import Signer
from tests.e2e.conftest import ServerFactory
from tests.e2e.saying import epoch
from tests.e2e.service import ServiceProcess
from tests.e2e.signing import claim

DAY_S = 86_400
NOW_S = 1_750_000_000


def said(value: float, number: int = 0, **fields: Any) -> bytes:  # noqa: ANN401  (any field of a claim)
    """Return a line with a claim of an agent and a second of its own."""
    signer = Signer(number.to_bytes(32, "big"))
    body = {
        "predicate": "p",
        "object": {"type": "Number", "value": value},
        "timestamp": NOW_S - number,
    } | fields
    return msgspec.json.encode(claim(signer, **body))


def load(server: ServiceProcess, lines: list[bytes]) -> None:
    results = [json.loads(each) for each in server.bulk(lines).body.splitlines()]
    assert [each["status"] for each in results] == ["created"] * len(lines)


def ask(server: ServiceProcess, path: str, subject: str, **parameters: str) -> dict[str, Any]:
    given = {"predicate": "p", "as_of": str(NOW_S)} | parameters
    extra = "".join(f"&{name}={value}" for name, value in given.items())
    reply = server.get(f"/v1/{path}?subject={subject}{extra}")
    assert reply.status == 200, reply.body
    found: dict[str, Any] = reply.json()
    return found


def test_two_equal_clinical_claims_are_contested(shared_server: ServiceProcess) -> None:
    load(shared_server, [said(value, subject="two", source_class="Clinical") for value in (1.0, 2.0)])
    quarrel = ask(shared_server, "skeptic", "two")
    assert (quarrel["status"], quarrel["conflict_score"]) == ("Contested", 1.0)
    assert [(each["value"]["value"], each["share"]) for each in quarrel["claims"]] in (
        [(1.0, 0.5), (2.0, 0.5)],
        [(2.0, 0.5), (1.0, 0.5)],
    )


def test_authority_prefers_one_regulator_to_a_crowd(shared_server: ServiceProcess) -> None:
    crowd = [said(1.0, n, subject="crowd", source_class="Anecdotal", confidence=0.8) for n in range(100)]
    load(shared_server, [*crowd, said(2.0, 200, subject="crowd", source_class="Regulatory", confidence=0.95)])
    answer = ask(shared_server, "query", "crowd", lens="authority")
    assert (answer["winner"]["object"]["value"], answer["winner"]["source_class"]) == (2.0, "Regulatory")
    assert ask(shared_server, "query", "crowd", lens="consensus")["winner"]["object"]["value"] == 1.0


@pytest.mark.parametrize(
    ("tier", "expected"), [("Clinical", 0.7857), ("Anecdotal", 0.95 * 0.00984), ("Regulatory", 0.95)]
)
def test_confidence_decays_by_the_tiers_half_life(
    shared_server: ServiceProcess, tier: str, expected: float
) -> None:
    aged = said(
        1.0, subject=f"aged/{tier}", source_class=tier, confidence=0.95, timestamp=NOW_S - 200 * DAY_S
    )
    load(shared_server, [aged])
    (shown,) = ask(shared_server, "query", f"aged/{tier}")["assertions"]
    assert shown["effective_confidence"] == pytest.approx(expected, abs=5e-5)
    assert shown["confidence"] == 0.95
    (raw,) = ask(shared_server, "query", f"aged/{tier}", decay="false")["assertions"]
    assert raw["effective_confidence"] == 0.95


def test_layers_show_where_the_quarrel_is(shared_server: ServiceProcess) -> None:
    agreeing = [said(1.0, n, subject="layers", source_class="Anecdotal") for n in range(50)]
    quarrelling = [said(value, 90, subject="layers", source_class="Clinical") for value in (2.0, 3.0)]
    load(shared_server, agreeing + quarrelling)
    layers = ask(shared_server, "layered", "layers")
    assert [each["tier"] for each in layers["tiers"]] == [1, 5]
    assert layers["tiers"][0]["conflict_score"] > 0.5
    assert layers["tiers"][1]["conflict_score"] == 0
    assert [each["candidates_count"] for each in layers["tiers"]] == [2, 50]
    assert layers["winner"] == layers["tiers"][0]["winner"]
    assert layers["cross_tier_conflict"] > 0


def test_an_agent_counts_once_for_a_value(shared_server: ServiceProcess) -> None:
    loud = [said(1.0, 1, subject="loud", timestamp=NOW_S - number) for number in range(10)]
    load(shared_server, [*loud, *(said(2.0, number, subject="loud") for number in (2, 3))])
    answer = ask(shared_server, "query", "loud", lens="consensus")
    assert answer["winner"]["object"]["value"] == 2.0
    assert answer["resolution_confidence"] == pytest.approx(2 / 3)


def test_a_crowd_without_authority_escalates_until_there_is_one(shared_server: ServiceProcess) -> None:
    load(shared_server, [said(1.0, n, subject="rumour", source_class="Anecdotal") for n in range(499)])
    assert shared_server.get("/v1/escalations").json()["escalations"] == []
    load(shared_server, [said(1.0, 499, subject="rumour", source_class="Anecdotal")])
    assert shared_server.get("/v1/escalations").json()["escalations"] == [
        {"kind": "anecdotal_cluster", "subject": "rumour", "predicate": "p", "claims_count": 500}
    ]
    load(shared_server, [said(1.0, 600, subject="rumour", source_class="Clinical")])
    assert shared_server.get("/v1/escalations").json()["escalations"] == []


def test_superseding_an_epoch_is_one_record(shared_server: ServiceProcess) -> None:
    old = shared_server.post("/v1/epoch", epoch("old")).json()["id"]
    load(shared_server, [said(1.0, number, subject="epochal", epoch=old) for number in range(100)])
    head = int(shared_server.get("/v1/feed?limit=1").headers["Stemedb-Seq"])
    new = shared_server.post("/v1/epoch", epoch("new", supersedes=old))
    assert int(new.headers["Stemedb-Seq"]) == head + 1
    assert ask(shared_server, "query", "epochal", lens="epoch_aware")["winner"] is None
    assert ask(shared_server, "query", "epochal", lens="recency")["winner"]["warnings"] == [
        "epoch_superseded"
    ]


SAME = [
    "query?subject=same&predicate=p",
    "query?subject=same&limit=3",
    *(
        f"query?subject=same&predicate=p&lens={lens}"
        for lens in ("recency", "confidence", "consensus", "authority", "epoch_aware")
    ),
    "query?subject=same&predicate=p&lens=vote_aware_consensus",
    "query?subject=same&predicate=p&lens=trust_aware_authority",
    "skeptic?subject=same&predicate=p",
    "layered?subject=same&predicate=p",
    "constraints?subject=same",
]


def test_what_was_known_stays_the_same_for_ever(server: ServerFactory) -> None:
    """More claims, votes and standards, a restart, and a rebuild of the view change no byte of it."""
    service = server()
    tiers = ("Clinical", "Expert", "Anecdotal")
    load(service, [said(n % 3, n, subject="same", source_class=tiers[n % 3]) for n in range(12)])
    load(service, [said(1.0, 1, subject="same", predicate="must_use")])
    gold = {"subject": "same", "predicate": "p", "object": {"Number": 1}}
    known_at = service.post("/v1/gold-standard", gold).headers["Stemedb-Seq"]

    def answers() -> list[tuple[bytes, str, str]]:
        replies = [service.get(f"/v1/{path}&known_at={known_at}") for path in SAME]
        assert {reply.status for reply in replies} == {200}
        return [(each.body, each.headers["ETag"], each.headers["Stemedb-Seq"]) for each in replies]

    first = answers()
    assert all(seq == known_at for _, _, seq in first)
    load(service, [said(7.0, 50 + n, subject="same", source_class="Regulatory") for n in range(50)])
    service.post("/v1/gold-standard", gold | {"object": {"Number": 2}})
    assert answers() == first
    service.restart()
    assert answers() == first
    assert service.stop() == 0
    for path in (service.folder / "db").iterdir():
        if path.suffix == ".mdb":
            path.unlink()
    time.sleep(1)  # a second later, so that no clock but the known one is in the bytes
    service.start()
    assert answers() == first
    newer = service.get("/v1/query?subject=same&predicate=p&lens=authority")
    assert newer.json()["winner"]["object"]["value"] == 7.0
