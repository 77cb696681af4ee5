"""A service that asks for API keys is watched with a reader's; without one, Prometheus is told no."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from stemedb.client import Client
from stemedb.model.keys import new_secret
from stemedb.model.keys_wire import KeyIn
from tests.host.prometheus import PATIENCE_S

if TYPE_CHECKING:
    from tests.host.live.conftest import Machine
    from tests.host.prometheus import Prometheus

KEY_FILE = "/etc/prometheus/stemedb.key"


def await_up(prometheus: Prometheus, wanted: float) -> None:
    """Wait until the service counts as reached (1), or not (0)."""
    deadline = time.monotonic() + PATIENCE_S
    while [value for _, value in prometheus.ask('up{job="stemedb"}')] != [wanted]:
        assert time.monotonic() < deadline, prometheus.get("/api/v1/targets")["activeTargets"]
        time.sleep(0.5)


def test_service_that_asks_for_keys_is_watched_with_one(machine: Machine, prometheus: Prometheus) -> None:
    root_key = new_secret()
    given = {
        "stemedb_settings": {
            **machine.host.ansible.get_variables()["stemedb_settings"],
            "STEMEDB_AUTH_ENABLED": True,
        },
        "stemedb_root_api_key": root_key,
    }
    closed = machine.play(**given)
    assert closed.status == 0, closed.output
    await_up(prometheus, 0)
    with Client(machine.url, api_key=root_key) as client:
        reader = client.create_key(KeyIn("reader", "prometheus")).key
    watched = machine.play(**given, stemedb_monitoring_api_key=reader)
    assert watched.status == 0, watched.output
    await_up(prometheus, 1)
    assert reader not in watched.output
    # The configuration names the file, and nobody but Prometheus reads that.
    assert reader not in machine.run("cat /etc/prometheus/prometheus.yml")
    assert machine.run(f"stat -c '%U %G %a' {KEY_FILE}").split() == ["root", "prometheus", "640"]
