"""From release to release while clients go on: there, back by itself from a broken one, and by hand."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from stemedb import limits
from tests.host.days.checkouts import checkout
from tests.host.days.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.host.days.conftest import Operator

pytestmark = pytest.mark.slow

LEAN = True
FIRST, NEXT, THIRD = "0.1.0", "0.2.0", "0.3.0"
# What goes back together with a release.
TOGETHER = "cat /etc/stemedb/config.env /etc/systemd/system/stemedb-api.{service,socket}"
# Ends with the status that systemd does not restart after, so that only traffic starts it again.
BROKEN = 'raise BadSettings("broken on purpose")'


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of the next version."""
    return checkout(tmp_path_factory.mktemp("newer"), NEXT)


def release(operator: Operator) -> str:
    return operator.run("basename $(readlink /opt/stemedb/current)").strip()


def archived_by(operator: Operator) -> str:
    """The release that the archive's process is of."""
    script = (
        "tr '\\0' '\\n' </proc/$(systemctl show --value --property=MainPID stemedb-archive.service)/cmdline"
    )
    return operator.run(script).partition("/opt/stemedb/releases/")[2].partition("/")[0]


def check_nobody_failed(operator: Operator, traffic: Traffic) -> None:
    """All were answered; told to come back only where a start outlasted the grace in which they wait."""
    assert traffic.failed == []
    ready = operator.run('journalctl --no-pager -o cat -u stemedb-api.service --grep \'"event":"ready"\'')
    if max(json.loads(line)["seconds"] for line in ready.splitlines()) < limits.START_GRACE_S:
        assert traffic.postponed == []


def test_upgrades_without_a_failed_request(
    operator: Operator, newer: Path, record_property: Callable[[str, object], None]
) -> None:
    operator.converged()
    socket = operator.shown("stemedb-api.socket", "InvocationID")
    with Traffic(operator.url) as traffic:
        seconds = operator.converged("playbooks/upgrade.yml", newer)
    record_property("upgrade", f"{seconds:.0f} s, {traffic}")
    assert operator.version == NEXT
    assert operator.shown("stemedb-api.socket", "InvocationID") == socket
    assert archived_by(operator) == release(operator)
    check_nobody_failed(operator, traffic)
    assert operator.run("ls -d /backups/2*Z-*") != ""
    assert operator.run("ls /opt/stemedb/releases").count(FIRST) == 1


def test_restarts_without_a_failed_request(
    operator: Operator, record_property: Callable[[str, object], None]
) -> None:
    with Traffic(operator.url) as traffic:
        for _ in range(3):
            operator.run("systemctl restart stemedb-api.service")
    record_property("three restarts", str(traffic))
    check_nobody_failed(operator, traffic)


def test_returns_by_itself_from_a_broken_release(
    operator: Operator, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    before = release(operator), operator.run(TOGETHER)
    broken = checkout(tmp_path, THIRD, broken=BROKEN)
    started = time.monotonic()
    with Traffic(operator.url) as traffic:
        run = operator.play("playbooks/upgrade.yml", checkout=broken, variables={"stemedb_restart_sec": "7s"})
    seconds = time.monotonic() - started
    record_property("upgrade to a broken release and back", f"{seconds:.0f} s, {traffic}")
    assert run.status != 0
    said = f"{before[0]} is back, with its configuration and units, and healthy"
    assert said in run.output, run.output
    assert "broken on purpose" in run.output.partition("Its journal, last lines:")[2]
    assert operator.version == NEXT
    after = release(operator), operator.run(TOGETHER)
    assert after == before
    check_nobody_failed(operator, traffic)
    assert operator.run(f"ls -d /opt/stemedb/releases/{THIRD}-*/.complete") != ""  # for whoever looks why


def test_upgrades_again_afterwards(operator: Operator, tmp_path: Path) -> None:
    operator.converged("playbooks/upgrade.yml", checkout(tmp_path, THIRD))
    assert operator.version == THIRD


def test_rolls_back_by_hand(operator: Operator) -> None:
    operator.converged("playbooks/rollback.yml")
    assert operator.version == NEXT
    assert archived_by(operator) == release(operator)
    operator.converged("playbooks/rollback.yml", variables={"stemedb_version": FIRST})
    assert operator.version == FIRST
    refused = operator.play("playbooks/rollback.yml", variables={"stemedb_version": "9.9.9"})
    assert refused.status != 0
    assert "No release 9.9.9 has been healthy on this host" in refused.output
    assert operator.version == FIRST
    # A claim that is made now comes back out of the archive that two newer releases have written to.
    operator.run("systemctl start stemedb-drill.service")
    assert 'stemedb_drill_result{result="pass"} 1' in operator.run("cat /var/lib/stemedb-metrics/*.prom")


def test_never_opens_data_of_a_newer_format(operator: Operator) -> None:
    operator.run(
        "systemctl stop stemedb-api.socket stemedb-api.service; cp -p /data/wal/log.json /root/;"
        """ sed -i 's/"format":1/"format":99/' /data/wal/log.json; grep -q 99 /data/wal/log.json"""
    )
    sums = operator.run("sha256sum /data/wal/*.wal /data/wal/log.json")
    refused = operator.play("site.yml")
    assert refused.status != 0
    assert "format version 99; this one reads 1" in refused.output
    operator.run("systemctl stop stemedb-api.socket stemedb-api.service || true")
    assert operator.run("sha256sum /data/wal/*.wal /data/wal/log.json") == sums
    operator.run("cp -p /root/log.json /data/wal/log.json; systemctl reset-failed 'stemedb-api.*'")
    operator.run("systemctl start stemedb-api.socket stemedb-api.service")
    assert operator.version == FIRST
