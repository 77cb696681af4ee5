"""Audits: every answer can be found, seen through, and given again."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.e2e.conftest import ServerFactory
from tests.e2e.service import Reply, ServiceProcess
from tests.e2e.signing import OTHER, WHEN_S, claim, line

SUBJECT = "fda://drug/audited"
QUESTIONS = [
    f"/v1/query?subject={quote(SUBJECT)}",
    f"/v1/query?subject={quote(SUBJECT)}&predicate=nausea_rate&lens=recency",
    f"/v1/query?subject={quote(SUBJECT)}&predicate=nausea_rate&lens=consensus&decay=false",
    f"/v1/query?subject={quote(SUBJECT)}&source_class=Regulatory&source_class[]=Anecdotal&limit=2",
    f"/v1/query?subject={quote(SUBJECT)}&predicate=nausea_rate&since=1",
    f"/v1/query?subject={quote(SUBJECT)}&known_at=3",
    f"/v1/query?subject={quote(SUBJECT)}&as_of={WHEN_S}",
    f"/v1/skeptic?subject={quote(SUBJECT)}&predicate=nausea_rate",
    f"/v1/layered?subject={quote(SUBJECT)}&predicate=nausea_rate",
    f"/v1/constraints?subject={quote(SUBJECT)}",
]


def fill(service: ServiceProcess) -> list[str]:
    """Claims of two agents, some in tiers that fade, one a rule; return their ids."""
    now_s = int(time.time())
    claims = [
        claim(subject=SUBJECT),
        claim(OTHER, subject=SUBJECT, object={"type": "Number", "value": 0.1}, timestamp=now_s + 200),
        claim(OTHER, subject=SUBJECT, source_class="Anecdotal", timestamp=now_s - 1000),
        claim(subject=SUBJECT, predicate="must_use", object={"type": "Text", "value": "gloves"}),
    ]
    return [service.post("/v1/assert", each).json()["hash"] for each in claims]


def audit_of(service: ServiceProcess, answer: Reply, *, replay: bool = False) -> dict[str, Any]:
    """Return the audit of an answer, which is there as soon as the answer is."""
    path = f"/v1/audit/query/{answer.headers['Stemedb-Audit-Id']}" + ("?replay=true" if replay else "")
    found = service.get(path)
    assert found.status == 200
    content: dict[str, Any] = found.json()
    return content


def test_every_answer_can_be_given_again(server: ServerFactory) -> None:
    service = server()
    ids = fill(service)
    answers = [service.get(path, {"X-Agent-Id": "planner"}) for path in QUESTIONS]
    assert [each.status for each in answers] == [200] * len(QUESTIONS)
    for answer in answers:
        audit = audit_of(service, answer)
        assert f'"{audit["result_hash"]}"' == answer.headers["ETag"]
        assert audit["seq"] == int(answer.headers["Stemedb-Seq"])
        assert audit["agent_id"] == "planner"
    # Later there is more to say, decay goes on, and the service and its view are new.
    service.post("/v1/assert", claim(OTHER, subject=SUBJECT, object={"type": "Number", "value": 7}))
    service.post("/v1/assert", claim(OTHER, subject=SUBJECT))
    service.bulk([line(number) for number in range(200)])
    assert service.stop() == 0
    for path in (service.folder / "db").glob("*.mdb"):
        path.unlink()
    service.start()
    for answer in answers:
        replayed = audit_of(service, answer, replay=True)["replayed"]
        assert replayed == {"result_hash": answer.headers["ETag"].strip('"'), "same": True}
    # After an erasure the ids are all that is left of it, and the answer is not the same.
    one = service.post("/v1/admin/erase", {"hashes": ids[:1], "reason": "a wish", "now": True})
    assert one.status == 202
    audit = audit_of(service, answers[0], replay=True)
    assert audit["replayed"]["same"] is False
    assert ids[0] in [each["hash"] for each in audit["contributing"]]


def test_pages_of_one_question_can_be_given_again(server: ServerFactory) -> None:
    service = server()
    fill(service)
    first = service.get(QUESTIONS[0] + "&limit=2")
    second = service.get(QUESTIONS[0] + f"&limit=2&cursor={first.json()['next_cursor']}")
    service.post("/v1/assert", claim(subject=SUBJECT, predicate="zzz"))
    for answer in (first, second):
        assert audit_of(service, answer, replay=True)["replayed"]["same"]


def test_an_audit_shows_what_the_answer_rests_on(shared_server: ServiceProcess) -> None:
    ids = fill(shared_server)
    answer = shared_server.get(QUESTIONS[2])
    audit = audit_of(shared_server, answer)
    assert audit["endpoint"] == "/v1/query"
    assert audit["parameters"] == {
        "subject": [SUBJECT],
        "predicate": ["nausea_rate"],
        "lens": ["consensus"],
        "decay": ["false"],
    }
    assert audit["contributing"] == answer.json()["contributing"]
    assert audit["contributing_count"] == len(audit["contributing"])
    assert {each["hash"] for each in audit["contributing"]} < set(ids)
    assert audit["agent_id"] is None
    quarrel = audit_of(shared_server, shared_server.get(QUESTIONS[7]))
    assert sum(each["weight"] for each in quarrel["contributing"]) == pytest.approx(1)
    assert abs(audit["time"] / 1e6 - time.time()) < 60


def test_a_source_s_impact_names_the_answers_that_rested_on_it(shared_server: ServiceProcess) -> None:
    source_hash = "5e" * 32
    shared_server.post("/v1/source", {"source_hash": source_hash, "title": "A trial"})
    shared_server.post("/v1/assert", claim(subject="impact", source_hash=source_hash))
    asked = "/v1/query?subject=impact&predicate=nausea_rate"
    answers = [shared_server.get(asked + ending) for ending in ("&lens=recency", "", "&lens=authority")]
    for answer in answers:
        audit_of(shared_server, answer)
    resolved = [answer.headers["Stemedb-Audit-Id"] for answer in (answers[2], answers[0])]
    assert shared_server.get(f"/v1/source/{source_hash}/impact").json()["answers"] == resolved


def test_audits_are_listed_by_agent_and_time(shared_server: ServiceProcess) -> None:
    made = []
    for number in range(5):
        answer = shared_server.get(QUESTIONS[number], {"X-Agent-Id": "lister"})
        made.append(audit_of(shared_server, answer)["id"])
    path = "/v1/audit/queries?agent_id=lister"
    page = shared_server.get(path + "&limit=3").json()
    assert [each["id"] for each in page["queries"]] == made[:1:-1]
    rest = shared_server.get(path + f"&limit=3&cursor={page['next_cursor']}").json()
    assert [each["id"] for each in rest["queries"]] == made[1::-1]
    assert rest["next_cursor"] is None
    now_s = int(time.time())
    assert shared_server.get(path + f"&to={now_s - 3600}").json()["queries"] == []
    assert len(shared_server.get(path + f"&from={now_s - 3600}&to={now_s + 1}").json()["queries"]) == 5
    assert len(shared_server.get(path + "&from=2020-01-01T00:00:00Z").json()["queries"]) == 5
    assert shared_server.get("/v1/audit/queries?agent_id=liste").json()["queries"] == []
    other = shared_server.get(f"/v1/audit/queries?limit=3&cursor={page['next_cursor']}")
    assert (other.status, other.json()["code"]) == (400, "bad_cursor")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/audit/query/" + "ab" * 32, 404),
        ("/v1/audit/query/" + "ab" * 31, 400),
        ("/v1/audit/query/" + "AB" * 32, 400),
        ("/v1/audit/query/" + "ab" * 32 + "?replay=yes", 400),
        ("/v1/audit/query/" + "ab" * 32 + "?more=1", 400),
        ("/v1/audit/queries?limit=1000000000", 400),
        ("/v1/audit/queries?limit=0", 400),
        ("/v1/audit/queries?cursor=nonsense", 400),
        ("/v1/audit/queries?from=yesterday", 400),
        ("/v1/audit/queries?from=-1", 400),
        ("/v1/audit/queries?to=99999999999999999999999", 400),
        ("/v1/audit/queries?to=9223372036854775807", 400),
        (f"/v1/audit/queries?to={2**43}", 200),
        ("/v1/audit/queries?agent_id=", 400),
        ("/v1/audit/queries?agent_id=" + "x" * 129, 400),
        ("/v1/audit/queries?lens=recency", 400),
    ],
)
def test_audits_refuse(shared_server: ServiceProcess, path: str, status: int) -> None:
    answer = shared_server.get(path)
    assert answer.status == status
    assert status == 200 or answer.json()["code"]


def test_an_audit_is_there_as_soon_as_its_answer_is(shared_server: ServiceProcess) -> None:
    """Whoever looks, however many others ask and look meanwhile."""
    fill(shared_server)

    def ask_and_look(name: str) -> None:
        for number in range(40):
            answer = shared_server.get(QUESTIONS[number % 3], {"X-Agent-Id": name})
            newest = shared_server.get(f"/v1/audit/queries?agent_id={name}&limit=1").json()["queries"]
            assert [each["id"] for each in newest] == [answer.headers["Stemedb-Audit-Id"]]
            assert audit_of(shared_server, answer)["agent_id"] == name

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask_and_look, [f"looker-{number}" for number in range(4)]))


def test_refused_questions_leave_no_audit(shared_server: ServiceProcess) -> None:
    refused = shared_server.get("/v1/query?subject=x&lens=magic", {"X-Agent-Id": "refused"})
    assert refused.status == 400
    assert "Stemedb-Audit-Id" not in refused.headers
    assert shared_server.get("/v1/audit/queries?agent_id=refused").json()["queries"] == []


def test_asking_writes_nothing_to_the_log(server: ServerFactory) -> None:
    service = server()
    fill(service)
    before = service.get("/v1/log/head").json()["chain"]
    answers = [service.get(path) for path in QUESTIONS]
    audit_of(service, answers[-1])
    assert service.get("/v1/log/head").json()["chain"] == before
    kept: list[Path] = sorted((service.folder / "db" / "local").iterdir())
    assert [path.name for path in kept] == ["data.mdb", "lock.mdb"]
    service.kill()
    service.start()
    assert json.dumps(audit_of(service, answers[-1]))
