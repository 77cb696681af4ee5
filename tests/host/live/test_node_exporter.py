"""The host's own metrics: shut in, and with what the jobs leave for it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.host.live.conftest import Machine

UNIT = "prometheus-node-exporter.service"
EXPOSURE_MAX = 2.0
ASK = (
    "python3 -c 'import urllib.request as u;"
    ' print(u.urlopen("http://127.0.0.1:9100/metrics").read().decode())\''
)


def test_runs_and_starts_at_boot(machine: Machine) -> None:
    state = machine.shown(UNIT, "ActiveState", "UnitFileState", "NeedDaemonReload")
    assert state == {"ActiveState": "active", "UnitFileState": "enabled", "NeedDaemonReload": "no"}
    assert machine.run(f"systemd-analyze verify {UNIT} 2>&1") == ""


def test_exposes_little(machine: Machine, record_property: Callable[[str, object], None]) -> None:
    report = machine.run(f"systemd-analyze security --no-pager {UNIT}")
    found = re.search(rf"Overall exposure level for {UNIT}: ([0-9.]+)", report)
    assert found is not None, report
    record_property(f"exposure of {UNIT}", found[1])
    assert float(found[1]) <= EXPOSURE_MAX, report


def test_shows_what_a_job_has_left(machine: Machine) -> None:
    folder = "/var/lib/stemedb-metrics"
    assert machine.run(f"stat -c '%a %U %G' {folder}") == "1775 root stemedb\n"
    write = f"sh -c 'umask 022; echo probe_left 7 > {folder}/probe.prom'"
    machine.run(f"setpriv --reuid stemedb --regid stemedb --clear-groups {write}")
    shown = machine.run(ASK)
    machine.run(f"rm {folder}/probe.prom")
    assert "probe_left 7" in shown
    assert "node_textfile_scrape_error 0" in shown


def test_sees_disks_as_they_are_outside_its_sandbox(machine: Machine) -> None:
    shown = machine.run(ASK)
    for collector in ("cpu", "diskstats", "filesystem", "loadavg", "meminfo", "netdev", "stat", "timex"):
        assert f'node_scrape_collector_success{{collector="{collector}"}} 1' in shown
    readonly = re.findall(r'^node_filesystem_readonly{.*mountpoint="/etc/hosts"} (\d)', shown, re.MULTILINE)
    assert readonly == ["0"]
