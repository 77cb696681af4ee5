"""The units as systemd runs them, and the service as its clients meet it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.host.live.conftest import Machine

EXPOSURE_MAX = 1.5
UNITS = ["stemedb-api.socket", "stemedb-api.service"]


@pytest.mark.parametrize("unit", UNITS)
def test_runs_and_starts_at_boot(machine: Machine, unit: str) -> None:
    state = machine.shown(unit, "ActiveState", "UnitFileState", "NeedDaemonReload")
    assert state == {"ActiveState": "active", "UnitFileState": "enabled", "NeedDaemonReload": "no"}


def test_has_the_pilots_unit_settings(machine: Machine) -> None:
    expected = {
        "Description": "StemeDB API Server",
        "Type": "notify",
        "User": "stemedb",
        "Group": "stemedb",
        "Restart": "on-failure",
        "RestartUSec": "5s",
        "LimitNOFILE": "65536",
        "LimitCORE": "0",
        "UMask": "0077",
        "RestartPreventExitStatus": "65 78",
    }
    assert machine.shown("stemedb-api.service", *expected) == expected
    shown = machine.shown("stemedb-api.service", "WatchdogUSec", "After", "EnvironmentFiles")
    assert shown["WatchdogUSec"] != "0"
    assert "network.target" in shown["After"].split()
    assert "/etc/stemedb/config.env" in shown["EnvironmentFiles"]


def test_exposes_little(machine: Machine, record_property: Callable[[str, object], None]) -> None:
    report = machine.run("systemd-analyze security --no-pager stemedb-api.service")
    found = re.search(r"Overall exposure level for stemedb-api.service: ([0-9.]+)", report)
    assert found is not None, report
    record_property("exposure of stemedb-api.service", found[1])
    assert float(found[1]) <= EXPOSURE_MAX, report


def test_keeps_its_threads_on_one_processor(machine: Machine) -> None:
    machine.get("/v1/health")
    main_pid = machine.shown("stemedb-api.service", "MainPID")["MainPID"]
    assert machine.run(f"grep Cpus_allowed_list /proc/{main_pid}/status").split()[1].isdigit()


@pytest.mark.parametrize("unit", UNITS)
def test_gives_systemd_nothing_to_complain_about(machine: Machine, unit: str) -> None:
    # Unknown directives are only warnings, so anything said at all is a failure.
    assert machine.run(f"systemd-analyze verify /etc/systemd/system/{unit} 2>&1") == ""


def test_keeps_the_journal_within_bounds(machine: Machine) -> None:
    assert machine.run("ls -d /var/log/journal/*") != ""
    shown = machine.run("systemd-analyze cat-config systemd/journald.conf").splitlines()
    assert "Storage=persistent" in shown
    assert "SystemMaxUse=1G" in shown


def test_answers_healthy_where_clients_are(machine: Machine) -> None:
    health = machine.get("/v1/health")
    assert (health["status"], health["version"]) == ("healthy", "0.1.0")


def test_is_started_again_by_traffic(machine: Machine) -> None:
    machine.run("systemctl stop stemedb-api.service")
    assert machine.get("/v1/health")["status"] == "healthy"
    assert machine.shown("stemedb-api.service", "ActiveState") == {"ActiveState": "active"}


def test_comes_back_after_a_crash(machine: Machine) -> None:
    machine.run("systemctl kill --signal=KILL stemedb-api.service")
    assert machine.get("/v1/health")["status"] == "healthy"
    assert int(machine.shown("stemedb-api.service", "NRestarts")["NRestarts"]) >= 1
