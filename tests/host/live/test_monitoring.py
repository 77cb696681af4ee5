"""Prometheus on the host: closed, bounded, asking whom it should. Left out where the inventory has none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.host.live.test_service import EXPOSURE_MAX
from tests.host.prometheus import Prometheus
from tests.watching.rules import alerts

if TYPE_CHECKING:
    from tests.host.live.conftest import Machine


@pytest.fixture
def prometheus(machine: Machine) -> Prometheus:
    """The host's Prometheus; skips where the inventory wants none."""
    if "stemedb_monitoring" not in machine.host.ansible.get_variables()["group_names"]:
        pytest.skip("the inventory puts no Prometheus on this host")
    return Prometheus(machine.run)


def test_listens_on_loopback_only(machine: Machine, prometheus: Prometheus) -> None:
    prometheus.get("/api/v1/status/runtimeinfo")
    listening = machine.run("ss -Hltn 'sport = :9090'").split()
    assert listening[3] == "127.0.0.1:9090"
    assert machine.shown("prometheus.service", "ActiveState", "UnitFileState") == {
        "ActiveState": "active",
        "UnitFileState": "enabled",
    }


@pytest.mark.usefixtures("prometheus")
def test_exposes_little_and_pleases_systemd(machine: Machine) -> None:
    report = machine.run("systemd-analyze security --no-pager prometheus.service")
    found = re.search(r"Overall exposure level for prometheus.service: ([0-9.]+)", report)
    assert found is not None, report
    assert float(found[1]) <= EXPOSURE_MAX, report
    assert machine.run("systemd-analyze verify --man=no prometheus.service 2>&1") == ""


@pytest.mark.usefixtures("prometheus")
def test_keeps_what_was_there_before(machine: Machine) -> None:
    assert machine.run("promtool check config /etc/prometheus/prometheus.yml")
    assert machine.run("ls /etc/prometheus/prometheus.yml.*~").count("\n") == 1


def test_knows_every_alert(prometheus: Prometheus) -> None:
    groups = prometheus.get("/api/v1/rules?type=alert")["groups"]
    assert {rule["name"] for group in groups for rule in group["rules"]} == {alert.name for alert in alerts()}


def test_asks_the_service(prometheus: Prometheus) -> None:
    ((labels, value),) = prometheus.await_samples('up{job="stemedb"} == 1')
    assert (labels["instance"] != "localhost:18180", value) == (True, 1)
    assert prometheus.await_samples("process_resident_memory_bytes{job='stemedb'} > 0")
    assert prometheus.await_samples("stemedb_assertions_total")
