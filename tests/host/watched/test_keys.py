"""A service that asks for API keys is watched with one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.error import HTTPError

import pytest

from stemedb.model.keys import new_secret

if TYPE_CHECKING:
    from tests.host.live.conftest import Machine
    from tests.host.prometheus import Prometheus

KEY_FILE = "/etc/prometheus/stemedb.key"


def test_service_that_asks_for_keys_is_watched_with_one(machine: Machine, prometheus: Prometheus) -> None:
    # No other key can be made before the service asks for keys.
    key = new_secret()
    settings = machine.host.ansible.get_variables()["stemedb_settings"]
    began_s = time.time()
    run = machine.play(
        stemedb_settings={**settings, "STEMEDB_AUTH_ENABLED": True},
        stemedb_root_api_key=key,
        stemedb_monitoring_api_key=key,
    )
    assert run.status == 0, run.output
    with pytest.raises(HTTPError, match="401"):
        machine.get("/metrics")
    # It was reached until the service asked for keys, too: what counts is what was read since.
    prometheus.await_samples(f'up{{job="stemedb"}} == 1 and process_start_time_seconds > {began_s}')
    assert key not in run.output
    # The configuration names the file, and nobody but Prometheus reads that.
    assert key not in machine.run("cat /etc/prometheus/prometheus.yml")
    assert machine.run(f"stat -c '%U %G %a' {KEY_FILE}").split() == ["root", "prometheus", "640"]
