"""What a changed variable restarts, what drift is seen, and what is left when all is removed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.host.containers import container
from tests.host.days.conftest import SETTINGS
from tests.host.playbook import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.days.conftest import Operator

pytestmark = pytest.mark.slow

UNITS = ("stemedb-api.socket", "stemedb-api.service", "systemd-journald.service", "prometheus.service")
# One variable of each row of the table in docs/hosts.md, and the units that start anew.
CHANGES: list[tuple[dict[str, object], set[str]]] = [
    ({"stemedb_settings": {**SETTINGS, "RUST_LOG": "warn"}}, {"stemedb-api.service"}),
    ({"stemedb_bind_addr": "[::]:18180"}, {"stemedb-api.socket", "stemedb-api.service"}),
    ({"stemedb_journal_max": "2G"}, {"systemd-journald.service"}),
    ({"stemedb_monitoring_scrape_interval": "30s"}, set()),  # a reload
    ({"stemedb_monitoring_retention": "16d"}, {"prometheus.service"}),
    ({"stemedb_release_keep": 7}, set()),
]
# Files that no run of a playbook is needed for to be there or to change.
NOISE = "/(proc|sys|dev|run|tmp|root|home/deploy|var/(log|tmp|cache|lib/systemd|lib/prometheus))(/.*)?"
BACKUPS_OF_ACCOUNTS = r"/etc/(passwd|group|shadow|gshadow|subuid|subgid)-"
LISTING = f"""
find / -xdev -regextype posix-extended -regex '{NOISE}' -prune -o -regex '{BACKUPS_OF_ACCOUNTS}' -o \\
    \\( -type d -printf '%p %y %m %u %g\\n' -o -type l -printf '%p %y %l\\n' \\
    -o -type f -printf '%p %y %m %u %g ' -exec md5sum {{}} \\; \\)
"""


def invocations(operator: Operator) -> dict[str, str]:
    return {unit: operator.shown(unit, "InvocationID") for unit in UNITS}


def test_restarts_what_a_variable_changes_and_nothing_else(operator: Operator) -> None:
    operator.converged()
    seen = []
    kept: dict[str, object] = {}
    for variables, _ in CHANGES:
        before = invocations(operator)
        kept |= variables
        operator.converged(variables=kept)
        after = invocations(operator)
        seen.append((variables, {unit for unit in UNITS if after[unit] != before[unit]}))
    assert seen == CHANGES
    assert "scrape_interval: 30s" in operator.run("curl -fs http://127.0.0.1:9090/api/v1/status/config")
    operator.converged()


def test_names_no_variable_in_the_table_that_is_not_there() -> None:
    table = (
        (ROOT / "docs/hosts.md").read_text().partition("## What a change restarts")[2].partition("\n## ")[0]
    )
    specs = [yaml.safe_load(path.read_text()) for path in ROOT.glob("roles/*/meta/argument_specs.yml")]
    known = {name for spec in specs for name in spec["argument_specs"]["main"]["options"]}
    named = set(re.findall(r"`(stemedb_\w+)`", table))
    assert named
    assert named <= known


def test_sees_drift_and_changes_nothing(operator: Operator) -> None:
    same = operator.play("playbooks/drift.yml")
    assert same.status == 0, same.output
    operator.run("echo '# by hand' >> /etc/stemedb/config.env; systemctl stop prometheus.service")
    before = operator.run("md5sum /etc/stemedb/config.env")
    drifted = operator.play("playbooks/drift.yml")
    assert drifted.status == 2, drifted.output
    assert "Differs from the inventory: " in drifted.output
    assert "Write the configuration" in drifted.output.partition("Differs from the inventory: ")[2]
    assert "Enable and start Prometheus" in drifted.output.partition("Differs from the inventory: ")[2]
    assert operator.run("md5sum /etc/stemedb/config.env") == before
    assert operator.shown("prometheus.service", "ActiveState") == "inactive"
    operator.converged()
    assert operator.play("playbooks/drift.yml").status == 0
    assert operator.play("playbooks/drift.yml", variables={"stemedb_memory_max": "3G"}).status == 2


def test_leaves_nothing_but_data_and_then_nothing(operator: Operator, tmp_path: Path) -> None:
    with container("pristine", tmp_path) as pristine:
        bare = set(pristine.run(LISTING).splitlines())
    operator.converged("playbooks/remove.yml")
    left = {line.split()[0] for line in set(operator.run(LISTING).splitlines()) - bare}
    accounts = {"/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"}
    kept = "/(data|backups|var/backups/stemedb|var/lib/stemedb-metrics)(/|$)"
    assert {path for path in left - accounts if not re.match(kept, path)} == set()
    assert "/data/wal/log.json" in left

    operator.converged()  # what was kept is still the same database
    operator.converged("playbooks/remove.yml", variables={"stemedb_remove_data": True})
    found = set(operator.run(LISTING).splitlines())
    assert sorted(found ^ bare) == []
    assert operator.play("playbooks/remove.yml", variables={"stemedb_remove_data": "true"}).changed == 0
