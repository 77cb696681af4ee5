"""Files, accounts and releases, as docs/hosts.md lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.host.live.conftest import Machine


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/data/wal", "755 stemedb stemedb directory"),
        ("/data/db", "755 stemedb stemedb directory"),
        ("/backups", "750 stemedb stemedb directory"),
        ("/opt/stemedb/releases", "755 root root directory"),
        ("/etc/stemedb", "755 root root directory"),
        ("/etc/stemedb/config.env", "600 root root regular file"),
        ("/etc/systemd/system/stemedb-api.service", "644 root root regular file"),
        ("/etc/systemd/system/stemedb-api.socket", "644 root root regular file"),
    ],
)
def test_sets_owners_and_modes(machine: Machine, path: str, expected: str) -> None:
    assert machine.run(f"stat -c '%a %U %G %F' {path}").strip() == expected


def test_makes_a_system_account_without_a_shell(machine: Machine) -> None:
    name, _, uid, gid, _, _, shell = machine.run("getent passwd stemedb").strip().split(":")
    assert (name, shell) == ("stemedb", "/bin/false")
    assert int(uid) < 1000
    assert int(gid) < 1000


def test_writes_the_pilots_five_lines_and_what_other_roles_need(machine: Machine) -> None:
    lines = machine.run("cat /etc/stemedb/config.env").splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == [
        "STEMEDB_BIND_ADDR=0.0.0.0:18180",
        "STEMEDB_WAL_DIR=/data/wal",
        "STEMEDB_DB_DIR=/data/db",
        "STEMEDB_BACKUP_DIR=/backups",
        "STEMEDB_METER_ENABLED=true",
        "RUST_LOG=info",
        "STEMEDB_TRUSTED_PROXIES=127.0.0.1",
        "STEMEDB_INTERNAL_NETWORKS=127.0.0.0/8,::1/128,10.0.0.0/8",
    ]


def test_runs_a_complete_release_through_the_link(machine: Machine) -> None:
    release = machine.run("readlink /opt/stemedb/current").strip()
    assert release.startswith("/opt/stemedb/releases/0.1.0-")
    assert machine.run(f"stat -c %U {release}/.complete").strip() == "root"
    assert machine.run("stemedb-api --version").strip() == "stemedb-api 0.1.0"
    assert machine.run("readlink -f /usr/local/bin/stemedb").strip() == f"{release}/bin/stemedb"


def test_leaves_nothing_of_the_installation(machine: Machine) -> None:
    assert machine.run("ls /opt/stemedb/releases | grep -v -- '^0.1.0-[0-9a-f]\\{8\\}$' || true") == ""
    assert machine.run("ls /opt/stemedb/current/ | grep wheel || true") == ""


def test_lets_nobody_but_root_write_code(machine: Machine) -> None:
    assert machine.run("find /opt/stemedb -not -type l \\( -not -user root -o -perm /022 \\)") == ""


def test_keeps_data_files_to_the_service(machine: Machine) -> None:
    assert machine.run("find /data/wal /data/db -type f \\( -not -user stemedb -o -perm /077 \\)") == ""


def test_has_no_way_to_a_package_index(machine: Machine) -> None:
    assert "default" not in machine.run("ip route")
