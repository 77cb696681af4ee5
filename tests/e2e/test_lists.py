"""Lists, single things and answers: pages that stay right, ETags, positions, parameters taken strictly."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.e2e.saying import epoch, source, vote
from tests.e2e.service import ServiceProcess
from tests.e2e.signing import OTHER, claim
from tests.e2e.test_refuse import problem_of

LISTS = {
    "/v1/source": "sources",
    "/v1/epoch": "epochs",
    "/v1/alias": "aliases",
    "/v1/gold-standard": "gold_standards",
    "/v1/concepts": "concepts",
    "/v1/escalations": "escalations",
}


@pytest.fixture(scope="module")
def filled(shared_server: ServiceProcess) -> ServiceProcess:
    """Return a service that holds three things of every kind."""
    gold = {"predicate": "p", "object": {"Number": 1}}
    for number in range(3):
        posts: dict[str, dict[str, Any]] = {
            "/v1/source": source(f"source {number}"),
            "/v1/epoch": epoch(f"epoch {number}"),
            "/v1/alias": {"subject": f"a{number}", "alias": f"b{number}"},
            "/v1/gold-standard": gold | {"subject": f"g{number}"},
            "/v1/assert": claim(subject=f"path/{number}", source_hash=source("source 0")["source_hash"]),
        }
        for path, body in posts.items():
            assert shared_server.post(path, body).status == 201
    return shared_server


def ids(path: str, server: ServiceProcess) -> list[str]:
    return [
        each.get("id") or each.get("source_hash") or each["subject"]
        for each in server.get(path).json()[LISTS[path]]
    ]


def single_paths(server: ServiceProcess) -> list[str]:
    claim_id = server.get("/v1/query?subject=path/0").json()["assertions"][0]["hash"]
    agent_id = OTHER.agent_id.hex()
    source_hash = ids("/v1/source", server)[0]
    named = [f"{path}/{ids(path, server)[0]}" for path in ("/v1/epoch", "/v1/alias", "/v1/gold-standard")]
    return [
        *named,
        f"/v1/source/{source_hash}",
        f"/v1/source/{source_hash}/impact",
        f"/v1/agent/{agent_id}",
        f"/v1/trace/{claim_id}",
        f"/v1/assertion/{claim_id}",
    ]


ASKED = [
    "/v1/query?subject=path/0",
    "/v1/query?subject=path/0&predicate=nausea_rate&lens=consensus",
    "/v1/query?subject=path/0&predicate=nausea_rate&since=1",
    "/v1/skeptic?subject=path/0&predicate=nausea_rate",
    "/v1/layered?subject=path/0&predicate=nausea_rate",
    "/v1/constraints?subject=path/0",
    "/v1/feed",
]


@pytest.mark.parametrize("path", [path for path in LISTS if path != "/v1/escalations"])
def test_pages_of_one_hold_the_same_as_one_page(filled: ServiceProcess, path: str) -> None:
    name, found, cursor = LISTS[path], [], ""
    while True:
        page = filled.get(f"{path}?limit=1{cursor}").json()
        found += page[name]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert len(found) >= 3
    assert found == filled.get(path).json()[name]


def test_reads_have_etags_and_positions(filled: ServiceProcess) -> None:
    for path in [*LISTS, *single_paths(filled), *ASKED]:
        first = filled.get(path)
        assert first.status == 200, (path, first.body)
        assert int(first.headers["Stemedb-Seq"]) >= 16
        again = filled.get(path, {"If-None-Match": first.headers["ETag"]})
        assert (again.status, again.body) == (304, b"")
        assert again.headers["ETag"] == first.headers["ETag"]
        assert filled.get(path, {"Stemedb-Min-Seq": first.headers["Stemedb-Seq"]}).status == 200
        problem_of(filled.get(path, {"Stemedb-Min-Seq": "soon"}), 400)


def test_positions_that_never_come_are_503(filled: ServiceProcess) -> None:
    refused = filled.get("/v1/epoch", {"Stemedb-Min-Seq": "999999"})
    assert problem_of(refused, 503)["code"] == "not_yet_visible"
    assert int(refused.headers["Retry-After"]) > 0


def test_unknown_parameters_are_refused_everywhere(filled: ServiceProcess) -> None:
    for path in [*LISTS, *single_paths(filled), *ASKED]:
        problem = problem_of(filled.get(f"{path}{'&' if '?' in path else '?'}nonsense=1"), 400)
        assert problem["errors"][0]["pointer"] == "/nonsense"


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    "parameters",
    [
        "limit=0",
        "limit=1000000000",
        "limit=1001",
        "limit=-1",
        "limit=1.5",
        "limit=",
        "limit=1&limit=2",
        "cursor=%ff",
    ],
)
def test_bad_pages_are_400(filled: ServiceProcess, path: str, parameters: str) -> None:
    problem_of(filled.get(f"{path}?{parameters}"), 400)


def test_cursors_belong_to_their_list_and_are_not_altered(filled: ServiceProcess) -> None:
    cursor = filled.get("/v1/epoch?limit=1").json()["next_cursor"]
    assert filled.get(f"/v1/epoch?cursor={cursor}").status == 200
    altered = cursor[:-2] + ("AA" if cursor[-2:] != "AA" else "BB")
    for path in (
        f"/v1/alias?cursor={cursor}",
        f"/v1/query?subject=a&cursor={cursor}",
        f"/v1/epoch?cursor={altered}",
        f"/v1/epoch?cursor={cursor[:-1]}",
        "/v1/epoch?cursor=",
        "/v1/epoch?cursor=" + "A" * 4000,
    ):
        assert problem_of(filled.get(path), 400)["code"] == "bad_cursor"


@pytest.mark.parametrize("path", [path for path in LISTS if path != "/v1/escalations"])
def test_cursors_of_lists_hold_for_their_moment_only(filled: ServiceProcess, path: str) -> None:
    """Who forgets the moment on the second page is told so, and gets no page of another list."""
    head = filled.get("/v1/health").json()["seq"]
    moments = ["", f"&known_at={head}", f"&known_at={head - 1}", f"&as_of={int(time.time())}"]
    cursors = [filled.get(f"{path}?limit=1{moment}").json()["next_cursor"] for moment in moments]
    for moment, cursor in zip(moments, cursors, strict=True):
        assert filled.get(f"{path}?limit=1{moment}&cursor={cursor}").status == 200
        for other in set(moments) - {moment}:
            refused = problem_of(filled.get(f"{path}?limit=1{other}&cursor={cursor}"), 400)
            assert (refused["code"], refused["errors"][0]["pointer"]) == ("bad_cursor", "/cursor")


def test_cursors_of_questions_hold_for_that_question_only(filled: ServiceProcess) -> None:
    for number in range(3):
        filled.post("/v1/assert", claim(subject="paged", timestamp=1_700_000_000 + number))
    cursor = filled.get("/v1/query?subject=paged&limit=1").json()["next_cursor"]
    assert filled.get(f"/v1/query?subject=paged&limit=2&cursor={cursor}").status == 200
    for question in ("subject=other", "subject=paged&decay=false", "subject=paged&as_of=1750000000"):
        refused = filled.get(f"/v1/query?{question}&cursor={cursor}")
        assert problem_of(refused, 400)["code"] == "bad_cursor"


def test_pages_are_answered_as_of_the_first_one(filled: ServiceProcess) -> None:
    for number in range(4):
        filled.post("/v1/assert", claim(subject="written", timestamp=1_700_000_000 + number))
    first = filled.get("/v1/query?subject=written&limit=2").json()
    for number in range(4):
        filled.post("/v1/assert", claim(subject="written", timestamp=1_699_999_000 + number))
    second = filled.get(f"/v1/query?subject=written&limit=2&cursor={first['next_cursor']}").json()
    times = [each["timestamp"] - 1_700_000_000 for each in first["assertions"] + second["assertions"]]
    assert times == [3, 2, 1, 0]
    assert second["next_cursor"] is None


def test_concepts_count_what_is_said_below_a_prefix(filled: ServiceProcess) -> None:
    found = filled.get("/v1/concepts?prefix=path/").json()["concepts"]
    assert [(each["subject"], each["claims_count"], each["predicates_count"]) for each in found] == [
        (f"path/{number}", 1, 1) for number in range(3)
    ]
    assert filled.get("/v1/concepts?prefix=nobody").json() == {"concepts": [], "next_cursor": None}
    problem_of(filled.get("/v1/concepts?prefix=" + "x" * 257), 400)


def test_unknown_ids_are_404_and_bad_ones_400(filled: ServiceProcess) -> None:
    for path in ("epoch/{}", "alias/{}", "gold-standard/{}", "source/{}", "source/{}/impact", "trace/{}"):
        problem = problem_of(filled.get("/v1/" + path.format("8" * 64)), 404)
        assert problem["code"].startswith("unknown_")
        for bad in ("8", "A" * 64, "8" * 65, "%20" * 32):
            assert problem_of(filled.get("/v1/" + path.format(bad)), 400)["code"] == "bad_hex"
    problem_of(filled.get("/v1/agent/nobody"), 400)
    stranger = filled.get(f"/v1/agent/{'8' * 64}").json()
    assert (stranger["trust"], stranger["claims_count"]) == (0.5, 0)


def test_agents_show_how_much_they_signed(filled: ServiceProcess) -> None:
    claim_id = filled.post("/v1/assert", claim(OTHER, subject="agents")).json()["hash"]
    filled.post("/v1/vote", vote(claim_id, 1.0))
    assert filled.get(f"/v1/agent/{OTHER.agent_id.hex()}").json()["claims_count"] == 1
    assert filled.post("/v1/assert", claim(subject="agents")).json()["status"] == "endorsed"
    traced = filled.get(f"/v1/trace/{claim_id}").json()
    assert [each["agent_id"] for each in traced["endorsements"]] == [claim()["signatures"][0]["agent_id"]]


def test_constraints_give_rules_with_reasons(filled: ServiceProcess) -> None:
    reason = source("House rules", source_class="Regulatory")
    filled.post("/v1/source", reason)
    for predicate, value, tier in (("must_use", "tabs", "Expert"), ("forbidden", "spaces", "Regulatory")):
        body = claim(
            subject="code://style",
            predicate=predicate,
            object={"type": "Text", "value": value},
            source_class=tier,
            source_hash=reason["source_hash"],
        )
        assert filled.post("/v1/assert", body).status == 201
    found = filled.get("/v1/constraints?subject=code://style").json()["constraints"]
    assert [(each["rule"], each["value"]["value"], each["reason"]) for each in found] == [
        ("forbidden", "spaces", "House rules"),
        ("must_use", "tabs", "House rules"),
    ]
    same = filled.get("/v1/query?subject=code://style&lens=constraints")
    assert same.json()["constraints"] == found
    problem_of(filled.get("/v1/constraints?subject=code://style&predicate=colour"), 400)


def test_vectors_and_images_find_their_neighbours(filled: ServiceProcess) -> None:
    near = [
        ([1.0, 0.0], "00000000000000ff"),
        ([0.9, 0.1], "000000000000ffff"),
        ([0.0, 1.0], "ffffffffffffffff"),
    ]
    made = [
        filled.post(
            "/v1/assert",
            claim(subject="near", vector=vector, visual_hash=image, timestamp=1_700_000_000 + number),
        ).json()["hash"]
        for number, (vector, image) in enumerate(near)
    ]
    question = "/v1/query?subject=near&predicate=nausea_rate"

    def found(parameters: str) -> list[str]:
        return [each["hash"] for each in filled.get(f"{question}&{parameters}").json()["assertions"]]

    assert found("vector_near=0,2&k=2") == [made[2], made[1]]
    assert found(f"vector_near={made[0]}") == made
    assert found("visual_near=0000000000000000") == [made[0]]
    assert found("visual_near=0000000000000000&visual_threshold=16") == [made[1], made[0]]
    assert found("visual_near=0000000000000000&visual_threshold=64&vector_near=0,1&k=1") == [made[2]]
    problem_of(filled.get(f"{question}&vector_near=0,0"), 400)
    problem_of(filled.get(f"{question}&vector_near=nan"), 400)
    problem_of(filled.get(f"{question}&visual_near=00"), 400)
    problem_of(filled.get(f"{question}&visual_near={'0' * 16}&visual_threshold=65"), 400)
    problem_of(filled.get(f"/v1/query?subject=near&vector_near={made[0]}"), 400)
    problem_of(filled.get(f"{question}&vector_near={'2' * 64}"), 404)
    assert found("vector_near=" + ",".join("1" * 4000)) == []  # other dimensions have no angle with it
    problem_of(filled.get(f"{question}&vector_near={','.join('1' * 5000)}"), 414)


def test_since_tells_what_changed(filled: ServiceProcess) -> None:
    first = filled.post("/v1/assert", claim(subject="changed")).json()
    voted = filled.post("/v1/vote", vote(first["hash"], 0.5)).json()
    filled.post("/v1/assert", claim(OTHER, subject="changed"))
    question = "/v1/query?subject=changed&predicate=nausea_rate"
    whole = filled.get(f"{question}&since={first['seq'] - 1}").json()["changes"]
    assert [each["type"] for each in whole] == ["assertion", "vote", "endorsement"]
    assert filled.get(f"{question}&since={voted['seq']}").json()["changes"] == whole[2:]
    assert filled.get(f"{question}&since=2020-01-01T00:00:00Z").json()["changes"] == whole
    problem_of(filled.get(f"{question}&since=99999999"), 400)
