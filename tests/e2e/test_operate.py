"""What operators see: every request in the log, slow questions with their plans, sizes of the storage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stemedb.client import Client
from tests.e2e.conftest import ServerFactory
from tests.e2e.guarded import Guarded
from tests.e2e.service import ServiceProcess
from tests.e2e.signing import SIGNER, claim, line

QUESTION = "/v1/query?subject=fda://drug/semaglutide&predicate=nausea_rate"


def events(service: ServiceProcess, name: str) -> list[dict[str, Any]]:
    return [found for text in service.log.splitlines() if (found := json.loads(text))["event"] == name]


def test_a_line_tells_everything_about_a_request(tmp_path: Path) -> None:
    own = Guarded(tmp_path / "own")
    try:
        key = own.make_key("writer")
        headers = own.header(key["key"]) | {"X-Request-Id": "mine-1", "X-Agent-Id": "importer\x1b7"}
        reply = own.service.post("/v1/assert", claim(), headers)
        own.service.get("/v1/concepts", headers | {"X-Request-Id": "mine-2", "X-Agent-Id": "reader 7"})
        own.service.stop()
    finally:
        own.service.close()
    written, read = (
        each for each in events(own.service, "request") if each["request_id"].startswith("mine-")
    )
    assert written["key"] == read["key"] == key["id"]
    assert written["agent"] == SIGNER.agent_id.hex()
    assert "label" not in written  # what is not printable is no label
    assert (read["label"], "agent" in read) == ("reader 7", False)
    assert (written["method"], written["path"], written["endpoint"]) == ("POST", "/v1/assert", "/v1/assert")
    assert (written["status"], written["bytes"]) == (201, len(reply.body))
    assert written["duration_ms"] > 0
    assert written["client"] == "127.0.0.1"
    assert written["level"] == "info"
    assert written["time"].endswith("Z")


@pytest.mark.parametrize("level", ["warn", "error"])
def test_levels_leave_out_what_is_below(server: ServerFactory, level: str) -> None:
    service = server(env={"RUST_LOG": level, "STEMEDB_SLOW_QUERY_MS": "0"})
    service.get(QUESTION)
    service.stop()
    assert events(service, "request") == []
    assert len(events(service, "slow query")) == (level == "warn")


def test_slow_questions_are_told_with_plan_and_counts(server: ServerFactory) -> None:
    service = server(env={"STEMEDB_SLOW_QUERY_MS": "0"})
    service.bulk([line(0, timestamp=1_700_000_000 + number) for number in range(30)])
    asked = "subject=fda://drug/0&predicate=nausea_rate"
    service.get(
        f"/v1/query?{asked}&lens=consensus&aliases=true", {"X-Request-Id": "first", "X-Agent-Id": "me"}
    )
    service.get(f"/v1/query?{asked}&limit=10&source_class=Clinical")
    service.get(f"/v1/skeptic?{asked}&as_of=1700000009")
    service.get(f"/v1/query?{asked}&since=1&limit=7")
    shown = service.get("/v1/admin/slow-queries").json()
    assert shown["threshold_ms"] == 0
    assert shown["next_cursor"] is None
    changes, skeptic, page, lens = shown["slow_queries"]
    assert lens["request_id"] == "first"
    assert lens["agent"] == "me"
    assert lens["endpoint"] == "/v1/query"
    assert lens["parameters"]["lens"] == ["consensus"]
    assert lens["plan"] == [
        "walk the claims of one predicate, newest first",
        "merge the walks of every subject that aliases join",
        "weigh all that pass: consensus",
    ]
    assert (lens["looked_count"], lens["found_count"]) == (30, 30)
    assert page["plan"][1:] == ["filter by source_class", "stop after 10"]
    assert page["looked_count"] == 30
    assert page["found_count"] == 0
    assert (skeptic["looked_count"], skeptic["found_count"]) == (30, 10)
    assert skeptic["plan"][-1] == "weigh all that pass: skeptic"
    assert changes["found_count"] == 7
    assert all(each["duration_ms"] > 0 for each in shown["slow_queries"])
    first = service.get("/v1/admin/slow-queries?limit=3").json()
    assert [each["number"] for each in first["slow_queries"]] == [4, 3, 2]
    rest = service.get(f"/v1/admin/slow-queries?cursor={first['next_cursor']}").json()
    assert [each["number"] for each in rest["slow_queries"]] == [1]
    service.stop()
    logged = events(service, "slow query")
    assert [each["plan"] for each in reversed(logged)] == [each["plan"] for each in shown["slow_queries"]]
    assert logged[0]["looked_count"] == 30
    assert logged[0]["level"] == "warning"


def test_questions_below_the_threshold_are_not_told(server: ServerFactory) -> None:
    service = server(env={"STEMEDB_SLOW_QUERY_MS": "60000"})
    service.get(QUESTION)
    assert service.get("/v1/admin/slow-queries").json()["slow_queries"] == []
    service.stop()
    assert events(service, "slow query") == []


def test_the_storage_tells_its_sizes(server: ServerFactory) -> None:
    service = server()
    service.bulk([line(number) for number in range(50)])
    found = service.get("/v1/admin/storage/stats").json()
    assert found["log"]["seq"] == found["view"]["seq"] == 51
    assert found["view"]["claims_count"] == 50
    segments = list((service.folder / "wal").glob("*.wal"))
    assert found["log"]["segments_count"] == len(segments)
    assert found["log"]["bytes"] == sum(path.stat().st_size for path in segments)
    assert 0 < found["view"]["map_used_bytes"] < found["view"]["map_size_bytes"]
    assert found["view"]["map_use"] == pytest.approx(
        found["view"]["map_used_bytes"] / found["view"]["map_size_bytes"], abs=1e-6
    )
    assert 0 < found["view"]["file_bytes"] < found["view"]["map_size_bytes"]
    assert found["audits_file_bytes"] > 0
    assert found["queued_changes_count"] == 0
    assert [disk["folder"] for disk in found["disks"]] == ["wal", "db"]
    for disk in found["disks"]:
        assert 0 < disk["free_bytes"] <= disk["size_bytes"]
        assert disk["floor_bytes"] == 512 * 1024 * 1024
    with Client(service.url) as client:
        assert client.storage_stats().view.claims_count == 50
        assert client.slow_queries(limit=5).slow_queries == []
        assert "stemedb_wal_seq 51.0" in client.metrics()
