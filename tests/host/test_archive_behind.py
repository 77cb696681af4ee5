"""A host whose archive stands still and whose service is degraded is healed by the next run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.host.containers import container
from tests.host.playbook import play
from tools import converged

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

HEALTH = """
python3 -c 'import urllib.request as u; print(u.urlopen("http://127.0.0.1:18180/v1/health").read().decode())'
"""
# The service says so when a record has not been archived for a minute.
BEHIND = f"""
systemctl stop stemedb-archive.service
rm -r /backups/wal
until {HEALTH.strip()} | grep -q 'are not archived'; do sleep 1; done
"""


def test_archive_that_stands_still_is_started_again(tmp_path: Path) -> None:
    with container("behind", tmp_path, root=converged.root()) as host:
        host.run(BEHIND)
        assert json.loads(host.run(HEALTH))["status"] == "degraded"
        run = play("-i", str(host.inventory(tmp_path)), "site.yml")
        assert run.status == 0, run.output
        host.run(f'until {HEALTH.strip()} | grep -q \'"archive":"ok"\'; do sleep 1; done')
        assert json.loads(host.run(HEALTH))["status"] == "healthy"
