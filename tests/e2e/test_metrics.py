"""What a running service exposes, as Prometheus reads it."""

from __future__ import annotations

import re
import subprocess
import time

import pytest

from tests.e2e.conftest import ServerFactory
from tests.e2e.service import ServiceProcess
from tests.e2e.signing import claim, line

SERIES_MAX = 400  # of an idle service that has answered a bit of everything
SAMPLE = re.compile(r"^(\w+)(\{[^}]*\})? (\S+)$", re.MULTILINE)


def samples(service: ServiceProcess) -> dict[str, float]:
    """Return every sample by its name and labels."""
    text = service.get("/metrics").body.decode()
    return {name + labels: float(value) for name, labels, value in SAMPLE.findall(text)}


@pytest.mark.watching
def test_promtool_has_nothing_to_say(server: ServerFactory) -> None:
    service = server()
    service.post("/v1/assert", claim())
    text = service.get("/metrics").body
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_shows_what_may_run_out(server: ServerFactory) -> None:
    service = server(env={"STEMEDB_DISK_FLOOR_MB": "7"})
    service.bulk([line(number) for number in range(20)])
    shown = samples(service)
    assert shown["stemedb_wal_seq"] == shown["stemedb_view_seq"] == 21  # the genesis record among them
    assert shown["stemedb_assertions_total"] == shown["stemedb_claims"] == 20
    assert (shown["stemedb_queue_changes"], shown["stemedb_queue_changes_max"]) == (0, 10_000)
    assert 0 < shown["stemedb_storage_map_used_bytes"] < shown["stemedb_storage_map_size_bytes"]
    assert shown["stemedb_disk_floor_bytes"] == 7 * 1024 * 1024
    for folder in ("wal", "db"):
        label = f'{{folder="{folder}"}}'
        assert 0 < shown[f"stemedb_disk_free_bytes{label}"] < shown[f"stemedb_disk_size_bytes{label}"]
        assert shown[f"stemedb_disk_inodes_free{label}"] <= shown[f"stemedb_disk_inodes{label}"]
    assert {shown[f'stemedb_health_check_ok{{check="{name}"}}'] for name in ("storage", "disk", "view")} == {
        1
    }
    assert shown["stemedb_http_connections"] >= 1  # the one that asks
    assert shown['stemedb_http_workers_busy{pool="http"}'] == 1
    assert shown['stemedb_http_workers{pool="bulk"}'] == 4
    assert abs(shown["process_start_time_seconds"] - time.time()) < 60
    assert shown["process_resident_memory_bytes"] > 0


def test_a_restart_is_no_leap_of_the_claims(server: ServerFactory) -> None:
    service = server()
    service.bulk([line(number) for number in range(5)])
    service.restart()
    service.post("/v1/assert", claim())
    shown = samples(service)
    assert (shown["stemedb_assertions_total"], shown["stemedb_assertions_ingested_total"]) == (6, 1)


def test_no_client_makes_series(server: ServerFactory) -> None:
    service = server()
    for number in range(50):
        service.get(f"/v1/nowhere/{number}")
        service.get(f"/v1/query?subject=s{number}&predicate=p&lens=l{number}", {"X-Agent-Id": f"a{number}"})
        service.request(f"M{number}", "/v1/assert")
    samples(service)  # which is a request of its own
    before = set(samples(service))
    for number in range(50, 100):
        service.get(f"/v1/nowhere/{number}")
        service.get(f"/v1/query?subject=s{number}&predicate=p&lens=l{number}", {"X-Agent-Id": f"a{number}"})
        service.request(f"M{number}", "/v1/assert")
    assert set(samples(service)) == before
    assert len(before) < SERIES_MAX
