"""The feed: every record of every kind, in order, and a wake-up for whoever waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue

import pytest

from stemedb import limits
from tests.e2e.conftest import ServerFactory
from tests.e2e.saying import epoch, source, vote
from tests.e2e.service import Reply, ServiceProcess
from tests.e2e.signing import OTHER, claim
from tests.e2e.test_refuse import problem_of


def say_everything(server: ServiceProcess) -> list[str]:
    """Make one record of every kind; return the kinds."""
    made = server.post("/v1/assert", claim()).json()["hash"]
    server.post("/v1/assert", claim(OTHER))
    server.post("/v1/vote", vote(made, 1.0))
    server.post("/v1/epoch", epoch("now"))
    evidence = source("paper", content="text")
    server.post("/v1/source", evidence)
    path = f"/v1/source/{evidence['source_hash']}"
    server.request("PATCH", path, b'{"status": "Disputed"}', {"Content-Type": "application/json"})
    server.post("/v1/alias", {"subject": "a", "alias": "b"})
    subject, predicate = claim()["subject"], claim()["predicate"]
    server.post("/v1/gold-standard", {"subject": subject, "predicate": predicate, "object": {"Number": 0.44}})
    kinds = ["genesis", "assertion", "endorsement", "vote", "epoch", "source", "source_status", "alias"]
    return [*kinds, "gold_standard", "judgement", "judgement"]


def test_the_feed_is_gapless_over_all_kinds(server: ServerFactory) -> None:
    service = server()
    kinds = say_everything(service)
    whole = service.get("/v1/feed").json()
    assert [each["type"] for each in whole["records"]] == kinds
    assert [each["seq"] for each in whole["records"]] == list(range(1, len(kinds) + 1))
    times = [each["recorded_at"] for each in whole["records"]]
    assert times == sorted(set(times))
    assert whole["next"] == len(kinds)
    found, after = [], 0
    while page := service.get(f"/v1/feed?after={after}&limit=3").json()["records"]:
        found += page
        after = page[-1]["seq"]
    assert found == whole["records"]
    service.restart()
    assert service.get("/v1/feed").json() == whole


def test_the_feed_pages_through_large_records(shared_server: ServiceProcess) -> None:
    """One answer reads a bounded number of bytes; `next` says where to go on."""
    for number in range(10):
        body = source(f"large {number}", content="x" * limits.SOURCE_CONTENT_BYTES_MAX)
        assert shared_server.post("/v1/source", body).status == 201
    found, after = [], 0
    while True:
        page = shared_server.get(f"/v1/feed?after={after}").json()
        if not page["records"]:
            break
        found += [each["seq"] for each in page["records"]]
        after = page["next"]
    assert found == list(range(1, 12))


@pytest.mark.parametrize(
    "parameters",
    [
        *("after=-1", "after=x", "after=", "after=99999999999999999999", "after=1&after=2", "cursor=a"),
        *("limit=0", "limit=1000000000", "wait=-1", "wait=31", "wait=nan", "wait=", "wait=soon"),
    ],
)
def test_bad_parameters_are_400(shared_server: ServiceProcess, parameters: str) -> None:
    problem_of(shared_server.get(f"/v1/feed?{parameters}"), 400)


def test_positions_past_the_head_are_400(shared_server: ServiceProcess) -> None:
    assert problem_of(shared_server.get("/v1/feed?after=1000000&wait=5"), 400)["code"] == "past_head"


@contextmanager
def waiting(server: ServiceProcess, count: int, wait_s: int) -> Iterator[SimpleQueue[Reply]]:
    """Let `count` requests wait at the head of the log; give where their replies come in."""
    head = server.get("/v1/feed?limit=1").headers["Stemedb-Seq"]
    replies: SimpleQueue[Reply] = SimpleQueue()

    def ask() -> None:
        replies.put(server.get(f"/v1/feed?after={head}&wait={wait_s}"))

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield replies
    finally:
        for thread in threads:
            thread.join()


def test_whoever_waits_is_woken_by_a_write(shared_server: ServiceProcess) -> None:
    with waiting(shared_server, 1, 30) as replies:
        time.sleep(0.3)  # so that it waits when the write comes; sooner is right as well
        assert replies.empty()
        began = time.monotonic()
        written = shared_server.post("/v1/assert", claim(subject="woken")).json()
        woken = replies.get(timeout=5)
        assert time.monotonic() - began < 5
        assert [each["seq"] for each in woken.json()["records"]] == [written["seq"]]
        assert woken.json()["records"][0]["body"]["subject"] == "woken"


def test_who_waits_in_vain_gets_an_empty_page(shared_server: ServiceProcess) -> None:
    head = int(shared_server.get("/v1/feed?limit=1").headers["Stemedb-Seq"])
    assert shared_server.get(f"/v1/feed?after={head}&wait=0.2").json() == {"records": [], "next": head}


def test_more_than_a_quarter_of_the_workers_never_wait(server: ServerFactory) -> None:
    service, too_many = server(), 4
    with waiting(service, limits.WAITING_WORKERS_MAX + too_many, 30) as replies:
        for _ in range(too_many):
            assert replies.get(timeout=10).json()["records"] == []  # answered at once
        refused = service.get("/v1/epoch", {"Stemedb-Min-Seq": "999"})
        assert problem_of(refused, 503)["code"] == "overloaded"
        assert service.get("/v1/health").status == 200
        assert replies.empty()
        service.post("/v1/assert", claim())
        for _ in range(limits.WAITING_WORKERS_MAX):
            assert len(replies.get(timeout=10).json()["records"]) == 1


def test_a_drain_lets_nobody_wait_on(server: ServerFactory) -> None:
    service = server()
    with waiting(service, 2, 30) as replies:
        time.sleep(0.3)
        assert service.stop() == 0
        for _ in range(2):
            assert replies.get(timeout=5).json() == {"records": [], "next": 1}
