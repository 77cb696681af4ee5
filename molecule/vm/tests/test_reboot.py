"""A real reboot: everything is back by itself, and the claims are there."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
from contextlib import closing
from http.client import HTTPConnection, HTTPSConnection
from typing import TYPE_CHECKING, Any

import pytest

from tests.host.playbook import BIN, ROOT
from tools.testvm.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "stemedb-vm"
PATIENCE_S = "120"  # everything is emulated
UNITS = (
    *("stemedb-api.socket", "stemedb-api.service", "stemedb-firewall.service"),
    *("nginx.service", "stemedb-tls-expiry.timer", "prometheus-node-exporter.service"),
    *("stemedb-archive.service", "stemedb-backup.timer", "stemedb-verify.timer", "stemedb-drill.timer"),
)
# What node_exporter shows on the host itself; nobody else is named in monitoring networks.
METRICS = "python3 -c 'import urllib.request as u; print(u.urlopen(\"http://127.0.0.1:9100/metrics\").read().decode())'"


@pytest.fixture(scope="module")
def machine() -> Machine:
    return Machine(ROOT / "build" / "testvms" / NAME)


@pytest.fixture(scope="module")
def stemedb(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """A client's command line, outside."""
    environment = {
        **os.environ,
        "HOME": str(tmp_path_factory.mktemp("home")),
        "STEMEDB_URL": machine.url,
    }

    def run(*arguments: str) -> Any:  # noqa: ANN401  (any JSON)
        done = subprocess.run(
            [BIN / "stemedb", *arguments, "--json"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="module")
def rebooted(machine: Machine, stemedb: Callable[..., Any]) -> str:
    """The claim that was made before the machine was restarted in order, and is asked for afterwards."""
    machine.wait_ready()
    stemedb("keygen", "witness")
    claim = stemedb("assert", "host:vm", "rebooted", "true", "--as", "witness", "--timeout-s", PATIENCE_S)
    before = machine.ssh("cat /proc/sys/kernel/random/boot_id")
    machine.reboot()
    assert machine.ssh("cat /proc/sys/kernel/random/boot_id") != before
    machine.wait_ready()
    machine.ssh("systemctl is-system-running --wait", check=False)  # what failed is looked at below
    return str(claim["hash"])


def test_units_are_back_by_themselves(machine: Machine, rebooted: str) -> None:
    assert rebooted
    shown = machine.ssh(
        "systemctl show --property=Id,ActiveState,UnitFileState,NRestarts -- " + " ".join(UNITS)
    )
    found = [dict(line.split("=", 1) for line in block.splitlines()) for block in shown.split("\n\n")]
    assert {unit["Id"]: (unit["ActiveState"], unit["UnitFileState"]) for unit in found} == dict.fromkeys(
        UNITS, ("active", "enabled")
    )
    assert {unit.get("NRestarts", "0") for unit in found} == {"0"}
    assert machine.ssh("systemctl --failed --plain --no-legend") == ""


def test_claims_are_still_there(stemedb: Callable[..., Any], rebooted: str) -> None:
    found = stemedb("query", "host:vm", "rebooted", "--timeout-s", PATIENCE_S)["assertions"]
    assert rebooted in [claim["hash"] for claim in found]


def test_nginx_answers_over_tls_and_redirects_to_it(machine: Machine, rebooted: str) -> None:
    assert rebooted
    trusted = ssl.create_default_context(cadata=machine.ssh("cat /etc/stemedb/tls/cert.pem"))
    trusted.check_hostname = False  # it is reached by another name here
    patience_s = int(PATIENCE_S)
    https = HTTPSConnection("127.0.0.1", machine.port(443), context=trusted, timeout=patience_s)
    with closing(https):
        https.request("GET", "/v1/health")
        assert json.load(https.getresponse())["status"] == "healthy"
    with closing(HTTPConnection("127.0.0.1", machine.port(80), timeout=patience_s)) as http:
        http.request("GET", "/v1/health")
        with http.getresponse() as reply:
            assert (reply.status, reply.headers["location"]) == (308, "https://127.0.0.1/v1/health")


def test_exporter_shows_the_host_and_what_its_jobs_left(machine: Machine, rebooted: str) -> None:
    assert rebooted
    shown = machine.ssh(METRICS)
    assert 'node_filesystem_avail_bytes{device="/dev/vdb"' in shown
    assert "stemedb_tls_cert_expiry_seconds " in shown
    assert "node_textfile_scrape_error 0" in shown


def test_archive_goes_on(machine: Machine, stemedb: Callable[..., Any], rebooted: str) -> None:
    assert rebooted
    made = stemedb("assert", "host:vm", "archived", "true", "--as", "witness", "--timeout-s", PATIENCE_S)
    reached = f'$1 == "stemedb_archive_seq" && $2 >= {made["seq"]} {{ found = 1 }} END {{ exit !found }}'
    machine.ssh(f"until awk '{reached}' /var/lib/stemedb-metrics/*.prom; do sleep 1; done")


def test_limits_are_what_the_unit_says(machine: Machine, rebooted: str) -> None:
    assert rebooted
    limits = machine.ssh(
        "cat /proc/$(systemctl show --value --property=MainPID stemedb-api.service)/limits", sudo=True
    )
    rows = {line[:26].strip(): line[26:].split()[:2] for line in limits.splitlines()}
    assert rows["Max open files"] == ["65536", "65536"]
    assert rows["Max core file size"] == ["0", "0"]


def test_firewall_stands_again(machine: Machine, rebooted: str) -> None:
    assert rebooted
    machine.ssh("iptables -C INPUT -j STEMEDB && ip6tables -C INPUT -j STEMEDB", sudo=True)


def test_journal_is_kept_over_the_reboot(machine: Machine, rebooted: str) -> None:
    assert rebooted
    boots = machine.ssh(
        'journalctl --no-pager --unit=stemedb-api --output=cat -g \'"event":"ready"\'', sudo=True
    )
    assert len(boots.splitlines()) >= 2
