"""Backups on the host: where the pilot document has them; made, archived, verified, practised, told of."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.host.live.conftest import Machine

CRON = "0 2 * * * /usr/local/bin/backup-stemedb.sh >> /var/log/stemedb-backup.log 2>&1"
EXPOSURE_MAX = {
    **dict.fromkeys(("archive", "backup", "verify", "copy"), 1.0),
    "drill": 1.5,
    # Root's own jobs: they read what nobody else may.
    "save": 4.0,
    "offsite": 4.0,
}
WAIT_S = 30.0


def metric(machine: Machine, name: str) -> float:
    """A metric that the jobs left for node_exporter."""
    text = machine.run("cat /var/lib/stemedb-metrics/*.prom")
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert found is not None, text
    return float(found[1])


def test_cron_has_the_pilots_line_and_no_timer_beside_it(machine: Machine) -> None:
    assert machine.run("crontab -l").splitlines().count(CRON) == 1
    assert machine.run("systemctl is-enabled stemedb-backup.timer || true").strip() == "disabled"


def test_script_makes_a_backup_and_shows_what_came_of_it(machine: Machine) -> None:
    said = machine.run("/usr/local/bin/backup-stemedb.sh")
    made = re.search(r"^(/backups/\S+): records 1 to \d+, ", said, re.MULTILINE)
    assert made is not None, said
    assert "whole up to record" in said
    assert made[1].rpartition("/")[2] in machine.run("ls -lh /backups")
    assert machine.run(f"stat -c '%U %a' {made[1]} /backups").split() == ["stemedb", "700", "stemedb", "750"]
    assert metric(machine, "stemedb_backup_last_success_timestamp_seconds") > time.time() - 600


def test_archive_follows_within_moments(machine: Machine) -> None:
    assert machine.shown("stemedb-archive.service", "ActiveState")["ActiveState"] == "active"
    seq = machine.get("/v1/health")["seq"]
    deadline = time.monotonic() + WAIT_S
    while json.loads(machine.run("cat /backups/wal/archive.json"))["head"]["seq"] < seq:
        assert time.monotonic() < deadline, machine.run("systemctl status --no-pager stemedb-archive.service")
        time.sleep(0.2)


def test_restore_is_practised(machine: Machine) -> None:
    machine.run("systemctl start stemedb-drill.service")
    assert metric(machine, 'stemedb_drill_result{result="pass"}') == 1
    assert machine.run("ls -A /var/lib/stemedb-drill").split() in ([], ["restored"])
    assert machine.run("find /var/lib/stemedb-drill -type f") == ""


def test_failure_is_told(machine: Machine) -> None:
    # A byte of a snapshot's view changes: verification fails, and whoever must know is told.
    view = machine.run("ls -t /backups/*/view/data.mdb | head -n 1").strip()
    machine.run(f"cp -a {view} /run/kept && printf X | dd of={view} bs=1 seek=100 conv=notrunc status=none")
    try:
        machine.run("! systemctl start stemedb-verify.service")
        journal = machine.run("journalctl --no-pager -o cat -u 'stemedb-notify@*' | tail -n 3")
        assert "stemedb-verify.service has failed" in journal
    finally:
        machine.run(f"cp -a /run/kept {view} && systemctl reset-failed stemedb-verify.service")
    machine.run("systemctl start stemedb-verify.service")


def test_servers_key_is_trusted_here_and_kept_with_the_inventory(machine: Machine) -> None:
    key = machine.run("stemedb backup key").strip()
    assert key in machine.run("cat /etc/stemedb/trusted_keys").split()


def test_configuration_is_saved_for_root_alone(machine: Machine) -> None:
    machine.run("systemctl start stemedb-save.service")
    assert machine.run("stat -c '%U %a' /var/backups/stemedb").split() == ["root", "700"]
    newest = machine.run("ls -t /var/backups/stemedb/*.tar.gz | head -n 1").strip()
    assert machine.run(f"stat -c '%U %a' {newest}").split() == ["root", "600"]
    names = machine.run(f"tar -tzf {newest}").split()
    assert {"/etc/stemedb/config.env", "/data/wal/keys/server.key"} <= set(names)


@pytest.mark.parametrize("job", EXPOSURE_MAX)
def test_jobs_expose_little(machine: Machine, job: str) -> None:
    report = machine.run(f"systemd-analyze security --no-pager stemedb-{job}.service | tail -n 1")
    found = re.search(r"([0-9.]+) [A-Z]+", report)
    assert found is not None, report
    assert float(found[1]) <= EXPOSURE_MAX[job]
