"""What a changed variable restarts, what drift is seen, and what is left when all is removed."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
import yaml

from stemedb.client import Client
from stemedb.model import Signer
from tests.host.containers import container
from tests.host.days.by_hand import ACCOUNTS, ALIVE, BY_HAND, LISTING, OUR_NAME, as_it_is, without_data
from tests.host.days.conftest import SERVICE_ALONE, SETTINGS
from tests.host.days.traffic import beat
from tests.host.playbook import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.days.conftest import Operator

SIGNER = Signer(bytes(range(32)))
DIFFERS = "Differs from the inventory: "
UNITS = (
    "stemedb-api.socket",
    "stemedb-api.service",
    "systemd-journald.service",
    "stemedb-firewall.service",
    "nginx.service",
    "prometheus-node-exporter.service",
    "stemedb-archive.service",
    "stemedb-verify.timer",
    "stemedb-drill.timer",
    "stemedb-tls-expiry.timer",
    "prometheus.service",
)
RESTART, RELOAD = "restart", "reload"
# These can be reloaded; what any other does by itself also moves the time of its last change.
RELOADABLE = {"nginx.service", "prometheus.service"}
# One after the other: variables of the table in docs/hosts.md, and all that a run with them does to units.
CHANGES: list[tuple[dict[str, object], dict[str, str]]] = [
    (
        {
            "stemedb_settings": {**SETTINGS, "RUST_LOG": "warn"},
            "stemedb_journal_max": "2G",
            "stemedb_nginx_server_name": "renamed.example",
            "stemedb_monitoring_scrape_interval": "30s",
            # Nothing that runs is touched by these.
            "stemedb_release_keep": 7,
            "stemedb_backup_drill_calendar": "Mon *-*-* 04:00:00",
            "stemedb_backup_keep_daily": 8,
            "stemedb_firewall_monitoring_networks": ["10.9.0.0/16"],
        },
        {
            "stemedb-api.service": RESTART,
            "systemd-journald.service": RESTART,
            "nginx.service": RELOAD,
            "prometheus.service": RELOAD,
        },
    ),
    (
        {
            "stemedb_bind_addr": "[::]:18180",
            "stemedb_backup_dir": "/backups/moved",
            "stemedb_monitoring_retention": "16d",
        },
        {
            "stemedb-api.socket": RESTART,
            "stemedb-api.service": RESTART,
            "nginx.service": RELOAD,  # which asks the service at another address
            "stemedb-archive.service": RESTART,
            "prometheus.service": RESTART,
        },
    ),
]
ALL_CHANGES = {name: value for variables, _ in CHANGES for name, value in variables.items()}
UNTOUCHED = {"stemedb_release_keep", "stemedb_backup_drill_calendar", "stemedb_firewall_monitoring_networks"}
# Copies of a configuration from before it is written, and a crontab with the moment in its first lines.
OTHER_EACH_TIME = r"/etc/prometheus/prometheus\.yml\.\S+~ |/var/spool/cron/crontabs/root "
# What a killed run may have written without its handler, and what the next run makes of it.
UNSEEN = {
    "/etc/systemd/journald.conf.d/50-stemedb.conf": {"systemd-journald.service": RESTART},
    "/etc/stemedb/config.env": {"stemedb-api.service": RESTART},
    "/etc/nginx/sites-available/stemedb": {"nginx.service": RELOAD},
    "/etc/systemd/system/prometheus-node-exporter.service.d/stemedb.conf": {
        "prometheus-node-exporter.service": RESTART
    },
    "/etc/systemd/system/stemedb-archive.service": {"stemedb-archive.service": RESTART},
    "/etc/systemd/system/prometheus.service.d/50-stemedb.conf": {"prometheus.service": RESTART},
}


class Units:
    """What has become of units since a moment."""

    def __init__(self, operator: Operator) -> None:
        self.operator = operator
        self.before = self._read()

    def _read(self) -> dict[str, tuple[str, str]]:
        """When each was started, and when its state was last another."""
        shown = self.operator.run(
            f"for unit in {' '.join(UNITS)}; do systemctl show --value --property=InvocationID $unit;"
            " systemctl show --value --property=StateChangeTimestampMonotonic $unit; done"
        ).split()
        assert len(shown) == 2 * len(UNITS), shown
        return dict(zip(UNITS, zip(shown[::2], shown[1::2], strict=True), strict=True))

    def done(self) -> dict[str, str]:
        """Which were restarted, and which were reloaded."""
        now = self._read()
        done = {}
        for unit, (started, changed) in self.before.items():
            if now[unit][0] != started:
                done[unit] = RESTART
            elif now[unit][1] != changed and unit in RELOADABLE:
                done[unit] = RELOAD
        return done


def named_in(output: str) -> set[str]:
    """The tasks that a run for drift names, all on one line."""
    found = re.search(rf"(?m)^\[ERROR\].*{DIFFERS}(.+)\.$", output)
    assert found, output
    return set(found[1].split("; "))


@pytest.mark.slow
def test_restarts_what_a_variable_changes_and_nothing_else(operator: Operator) -> None:
    seen = []
    kept: dict[str, object] = {}
    for variables, _ in CHANGES:
        units = Units(operator)
        kept |= variables
        operator.converged(variables=kept)
        seen.append((variables, units.done()))
        assert operator.health()["status"] == "healthy"
    assert seen == CHANGES
    assert "storage.tsdb.retention.time=16d" in operator.run(
        "tr '\\0' ' ' </proc/$(pidof prometheus)/cmdline"
    )
    config = "python3 -c 'import urllib.request as r; print(r.urlopen(\"http://127.0.0.1:9090/api/v1/status/config\").read())'"
    assert "scrape_interval: 30s" in operator.run(config)
    served = "openssl s_client -connect 127.0.0.1:443 -servername renamed.example </dev/null 2>/dev/null"
    assert "renamed.example" in operator.run(f"{served} | openssl x509 -noout -subject")
    assert "Mon *-*-* 04:00:00" in operator.run(
        "systemctl show --property=TimersCalendar stemedb-drill.timer"
    )


@pytest.mark.slow
def test_does_once_what_a_killed_run_left_undone(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator.run(f"touch {' '.join(UNSEEN)}")
    units = Units(operator)
    monkeypatch.setenv("PLAYBOOK_RUNS_FILE", str(tmp_path / "runs"))
    run = operator.play("site.yml", variables=ALL_CHANGES)
    assert run.status == 0, run.output
    (changed,) = json.loads((tmp_path / "runs").read_text())["changed"].values()
    # All else that the variables asked for was done once: nothing is written again.
    assert [task for task in changed if not re.search(" : (Find|Restart|Reload) ", task)] == []
    expected: dict[str, str] = {}
    for effect in UNSEEN.values():
        expected |= effect
    assert units.done() == expected
    other = operator.play("playbooks/drift.yml", variables={**ALL_CHANGES, "stemedb_memory_max": "3G"})
    named = named_in(other.output)  # nothing is left to do but what has just been asked for
    assert "stemedb : Write the service unit" in named
    assert not any(" : Find " in name for name in named), named
    assert {name.partition(" : ")[0] for name in named} == {"stemedb"}


def test_names_no_variable_in_the_table_that_is_not_there() -> None:
    table = (
        (ROOT / "docs/hosts.md").read_text().partition("## What a change restarts")[2].partition("\n## ")[0]
    )
    specs = [yaml.safe_load(path.read_text()) for path in ROOT.glob("roles/*/meta/argument_specs.yml")]
    known = {name for spec in specs for name in spec["argument_specs"]["main"]["options"]}
    named = set(re.findall(r"`(stemedb_\w+)`", table))
    assert named
    assert named <= known
    # What a test sees restarted stands in the table.
    assert {name for variables, _ in CHANGES for name in variables} - named == UNTOUCHED


@pytest.mark.slow
def test_sees_drift_in_every_role_and_puts_it_right(operator: Operator) -> None:
    right = as_it_is(operator.host)
    for change in BY_HAND.values():
        operator.run(change.script)
    before = as_it_is(operator.host)
    drifted = operator.play("playbooks/drift.yml", variables=ALL_CHANGES)
    assert drifted.status == 2, drifted.output
    seen = {f"{role} : {task}" for role, change in BY_HAND.items() for task in change.tasks}
    assert seen - named_in(drifted.output) == set()
    assert [change.shown for change in BY_HAND.values() if change.shown not in drifted.output] == []
    assert as_it_is(operator.host) == before
    operator.converged(variables=ALL_CHANGES)
    files, rules, _ = as_it_is(operator.host)
    assert [line for line in files ^ right[0] if not re.match(OTHER_EACH_TIME, line)] == []
    assert rules == right[1]


@pytest.mark.slow
def test_leaves_nothing_but_data_and_then_nothing(operator: Operator, tmp_path: Path) -> None:
    with container("pristine", tmp_path) as pristine:
        bare, alive = set(pristine.run(LISTING).splitlines()), pristine.run(ALIVE)
    claim = beat(0, SIGNER)
    with Client(operator.url) as client:
        made = client.assert_claim(claim).hash
    operator.run("/usr/local/bin/backup-stemedb.sh >> /var/log/stemedb-backup.log")

    operator.converged("playbooks/remove.yml")
    left = {line.split()[0] for line in without_data(operator.host) - bare}
    assert left - ACCOUNTS == set()
    assert operator.run(ALIVE) == alive

    operator.converged(variables=SERVICE_ALONE)  # what was kept is still the same database
    with Client(operator.url) as client:
        assert [each.hash for each in client.query(claim.assertion.subject).assertions] == [made]
    operator.converged("playbooks/remove.yml", variables={"stemedb_remove_data": True})
    assert sorted(set(operator.run(LISTING).splitlines()) ^ bare) == []
    assert operator.run(OUR_NAME) == ""
    assert operator.run(ALIVE) == alive
    assert operator.play("playbooks/remove.yml", variables={"stemedb_remove_data": "true"}).changed == 0
