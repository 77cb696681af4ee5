"""The preflight's judgement, row by row."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
import yaml

from stemedb import limits
from tests.host.modules import load
from tests.host.playbook import ROOT

preflight = load("stemedb_common", "stemedb_preflight")
GB = preflight.GB
FOLDERS = [
    {"path": "/data/wal", "purpose": "log", "disk_gb": 30},
    {"path": "/data/db", "purpose": "view", "disk_gb": 20},
]


@pytest.mark.parametrize("name", ["DOCUMENTATION", "EXAMPLES", "RETURN"])
def test_documents_itself(name: str) -> None:
    for module in (preflight, load("stemedb", "stemedb_release")):
        assert yaml.safe_load(getattr(module, name))


@pytest.mark.parametrize(
    ("found", "wanted", "verdict"),
    [(1, 2, "stop"), (2, 2, "ok"), (2, 4, "warn"), (4, 4, "ok"), (1, 4, "stop")],
)
def test_stops_below_two_processors_and_warns_below_the_profile(
    found: int, wanted: int, verdict: str
) -> None:
    assert preflight.processor_row(found, wanted, "stop").verdict == verdict


@pytest.mark.parametrize(("found", "verdict"), [(3.7 * GB, "ok"), (3.6 * GB, "ok"), (3.59 * GB, "stop")])
def test_takes_nine_tenths_of_the_memory(found: float, verdict: str) -> None:
    assert preflight.memory_row(int(found), 4, "stop").verdict == verdict


def disks(wal: float, db: float | None, backup: float | None) -> dict[str, object]:
    """File systems of these sizes in GB; None: the folder lies on the log's."""
    first = preflight.Disk(1, "/data", int(wal * GB))
    return {
        "/data/wal": first,
        "/data/db": first if db is None else preflight.Disk(2, "/data/db", int(db * GB)),
        "/backups": first if backup is None else preflight.Disk(3, "/backups", int(backup * GB)),
    }


@pytest.mark.parametrize(
    ("sizes", "verdicts"),
    [
        ((48, None, 50), ["ok", "ok"]),  # one disk for both needs the sum
        ((40, None, 50), ["stop", "ok"]),
        ((29, 19, 50), ["ok", "ok", "ok"]),
        ((28, 19, 50), ["stop", "ok", "ok"]),
        ((29, 18, 50), ["ok", "stop", "ok"]),
        ((200, None, None), ["ok", "warn"]),  # backups on the data's disk
        ((48, None, 20), ["ok", "warn"]),  # backups too small
    ],
)
def test_sums_folders_of_one_disk(
    sizes: tuple[float, float | None, float | None], verdicts: list[str]
) -> None:
    rows = preflight.disk_rows(FOLDERS, "/backups", disks(*sizes), "stop")
    assert [row.verdict for row in rows] == verdicts


def test_warns_instead_of_stopping_when_sizes_are_not_enforced() -> None:
    rows = preflight.disk_rows(FOLDERS, "/backups", disks(1, None, 50), "warn")
    assert rows[0].verdict == "warn"
    assert preflight.memory_row(1, 4, "warn").verdict == "warn"


@pytest.mark.parametrize("path", ["/home/data", "/tmp", "/root/x"])  # noqa: S108  (only judged)
def test_refuses_folders_that_the_sandbox_hides(path: str) -> None:
    rows = preflight.folder_rows([{"path": path, "purpose": "log"}])
    assert [row.verdict for row in rows] == ["stop"]
    assert preflight.folder_rows([{"path": "/homes/data", "purpose": "log"}]) == []


@pytest.mark.parametrize(
    ("package", "found", "verdict"),
    [("python3.11", "", "ok"), ("", "", "stop"), ("python3.11", "3.11", "ok"), ("python3", "3.9", "stop")],
)
def test_wants_the_python_of_the_wheelhouse(package: str, found: str, verdict: str) -> None:
    assert preflight.python_row("/usr/bin/python3", package, "3.11", found).verdict == verdict


def test_names_who_holds_the_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        inodes = preflight.listeners(port, [Path("/proc/net/tcp").read_text()])
        assert len(inodes) == 1
        holders = preflight.holders_of(inodes)
        assert [f"process {os.getpid()}" in holder for holder in holders] == [True]
        assert preflight.port_row(port, holders).verdict == "stop"


@pytest.mark.parametrize(
    "holders", [[], ["stemedb-api.socket"], ["stemedb-api.socket", "stemedb-api.service"]]
)
def test_leaves_the_port_to_our_own_units(holders: list[str]) -> None:
    assert preflight.port_row(18180, holders).verdict == "ok"


def test_finds_the_disk_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    found = preflight.disk_of(str(tmp_path / "not" / "yet"))
    assert found.device == tmp_path.stat().st_dev
    assert found.size_bytes > 0


@pytest.mark.parametrize(("size_gb", "verdict"), [(20, "ok"), (68, "ok"), (70, "warn"), (1000, "warn")])
def test_warns_where_the_map_ends_before_the_disk(size_gb: int, verdict: str) -> None:
    values = yaml.safe_load((ROOT / "roles/stemedb_common/vars/main.yml").read_text())
    assert values["__stemedb_common_map_bytes"] == limits.MAP_BYTES_DEFAULT
    disk = preflight.Disk(1, "/data", size_gb * GB)
    assert preflight.map_row(disk, values["__stemedb_common_map_bytes"]).verdict == verdict


@pytest.mark.parametrize(("said", "verdict"), [("yes", "ok"), ("no", "warn"), ("", "warn")])
def test_warns_of_a_clock_that_nothing_keeps(said: str, verdict: str) -> None:
    assert preflight.clock_row(said).verdict == verdict


def test_lays_out_a_table() -> None:
    rows = [preflight.Row("port", "free", "ours", "ok"), preflight.Row("memory", "4 GB", "2.0 GB", "stop")]
    assert preflight.table(rows).splitlines() == [
        "              wanted  found",
        "  ok  port    free    ours",
        "stop  memory  4 GB    2.0 GB",
    ]
