"""Alerts are made to fire by what they warn of, on a host, and clear when it is over.

The rules are the project's, with `for` and ages sixty times shorter, and windows twenty times. Each test
mends what it broke; what looks back for long is seen to clear in the last one.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from stemedb.model import Signer
from tests.e2e.signing import claim
from tests.watching.rules import alerts

if TYPE_CHECKING:
    from tests.host.live.conftest import Machine
    from tests.host.prometheus import Prometheus
    from tests.host.watched.conftest import Traffic

PATIENCE_S = 120.0
CROWD = 500
FLOOD = Signer(b"flood".ljust(32))
UNITS = "stemedb-api.socket stemedb-api.service"
# One bit of a file, and the same bit back.
FLIP = """import os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
os.pwrite(fd, bytes([os.pread(fd, 1, 300)[0] ^ 1]), 300)"""
SERVICE_STARTS = f"systemctl reset-failed {UNITS}; systemctl start {UNITS}"


class Watch:
    """Waits for alerts."""

    def __init__(self, prometheus: Prometheus) -> None:
        self._prometheus = prometheus

    def until_firing(self, *names: str) -> None:
        """Wait until all of them have fired."""
        missing = set(names)
        deadline = time.monotonic() + PATIENCE_S
        while missing := missing - self._prometheus.firing():
            assert time.monotonic() < deadline, f"{missing} did not fire"
            time.sleep(0.2)

    def until_quiet(self, *names: str) -> None:
        """Wait until none of them fires."""
        deadline = time.monotonic() + PATIENCE_S
        while loud := self._prometheus.firing() & set(names):
            assert time.monotonic() < deadline, f"{loud} did not clear"
            time.sleep(0.2)


def deploy(machine: Machine, ends: datetime) -> None:
    """Have the host's nginx use a certificate that ends at `ends`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "stemedb")])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    certificate = (
        made.not_valid_before(ends - timedelta(days=90)).not_valid_after(ends).sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    machine.run(
        "cd /etc/stemedb/tls; umask 077; "
        f"echo '{certificate.public_bytes(pem).decode()}' > cert.pem; echo '{secret}' > key.pem; "
        "nginx -t && systemctl reload nginx && systemctl start stemedb-tls-expiry"
    )


@pytest.fixture
def watch(prometheus: Prometheus) -> Watch:
    return Watch(prometheus)


@pytest.mark.usefixtures("traffic")
def test_the_pilots_five_expressions_work(prometheus: Prometheus) -> None:
    for expr in (
        'stemedb_query_latency_seconds{quantile="0.99"}',
        "rate(stemedb_assertions_total[1m]) > 0",
        "stemedb_wal_fsync_latency_seconds > 0",
        'node_filesystem_avail_bytes{mountpoint="/data"} > 0',
        'process_resident_memory_bytes{job="stemedb"} > 0',
    ):
        assert prometheus.await_samples(expr)


def test_an_agent_that_is_refused_and_goes_on(watch: Watch, traffic: Traffic) -> None:
    # A minute here is an hour there; it is looked at again in the last test.
    traffic.keep_sending("/v1/supersede", FLOOD, parent_hash="11" * 32)
    watch.until_quiet("StemedbDown")


@pytest.mark.usefixtures("traffic")
def test_a_full_disk(machine: Machine, watch: Watch) -> None:
    alerts = ("StemedbDiskFilling", "StemedbDiskFull", "StemedbUnhealthy", "StemedbServerErrors")
    watch.until_quiet(*alerts, "StemedbInodesLow")
    machine.run("fallocate -l $(($(df --output=avail -B1 /data | tail -1) - 8000000)) /data/filler")
    machine.run("mkdir /data/many && seq 3900 | sed s,^,/data/many/, | xargs touch || true")
    watch.until_firing(*alerts, "StemedbInodesLow")
    machine.run("rm -r /data/filler /data/many")
    watch.until_quiet(*alerts, "StemedbInodesLow")


@pytest.mark.usefixtures("traffic")
def test_a_slow_disk(machine: Machine, watch: Watch) -> None:
    watch.until_quiet("StemedbFsyncSlow")
    machine.run("echo 'fdatasync -300 .wal' > /data/fault")
    watch.until_firing("StemedbFsyncSlow")
    machine.run("rm /data/fault")
    watch.until_quiet("StemedbFsyncSlow")


@pytest.mark.usefixtures("traffic")
def test_a_disk_that_fails_once(machine: Machine, watch: Watch) -> None:
    watch.until_quiet("StemedbFsyncErrors")
    machine.run("echo 'fdatasync 5 .wal' > /data/fault")
    # A disk that goes on failing lets nothing start, and is StemedbDown.
    machine.run("timeout 30 sh -c 'until [ -s /data/db/failures ]; do sleep 0.1; done'; rm /data/fault")
    watch.until_firing("StemedbFsyncErrors")


def test_crashes_over_and_over(machine: Machine, watch: Watch) -> None:
    watch.until_quiet("StemedbRestarting")
    # Not as often as systemd gives up, and seen by Prometheus in between.
    machine.run(
        "systemd-run --unit=crashes sh -c 'while sleep 4; do "
        "systemctl is-active stemedb-api && systemctl kill --signal=KILL stemedb-api; done'"
    )
    watch.until_firing("StemedbRestarting")
    machine.run("systemctl stop crashes")


def test_a_service_that_is_gone(machine: Machine, watch: Watch) -> None:
    watch.until_quiet("StemedbDown")
    machine.run(f"systemctl stop {UNITS}")
    watch.until_firing("StemedbDown")
    machine.run(SERVICE_STARTS)
    watch.until_quiet("StemedbDown")


def test_somebody_else_at_its_port(machine: Machine, watch: Watch) -> None:
    watch.until_quiet("StemedbMetricsAbsent")
    machine.run(f"systemctl stop {UNITS}")
    machine.run(
        "mkdir -p /run/other && touch /run/other/metrics && systemd-run --unit=other "
        "--working-directory=/run/other python3 -m http.server 18180"
    )
    watch.until_firing("StemedbMetricsAbsent")
    machine.run(f"systemctl stop other; {SERVICE_STARTS}")
    watch.until_quiet("StemedbMetricsAbsent")


def test_an_archive_and_a_node_exporter_that_stopped(machine: Machine, watch: Watch) -> None:
    watch.until_quiet("StemedbArchiveBehind", "StemedbHostUnwatched")
    machine.run("systemctl kill --signal=STOP stemedb-archive")
    watch.until_firing("StemedbArchiveBehind")
    machine.run("systemctl kill --signal=CONT stemedb-archive")
    watch.until_quiet("StemedbArchiveBehind")
    machine.run("systemctl stop prometheus-node-exporter")
    watch.until_firing("StemedbHostUnwatched")
    machine.run("systemctl start prometheus-node-exporter")
    watch.until_quiet("StemedbHostUnwatched")


def test_a_backup_that_is_not_whole(machine: Machine, watch: Watch) -> None:
    # Where none is made for 26 minutes, which are 26 hours there, that fires too.
    machine.run("systemctl start stemedb-backup")
    watch.until_quiet("StemedbDrillFailed")
    flip = f"python3 -c '{FLIP}' /backups/wal/0000000000000000.wal"
    machine.run(f"{flip}; ! systemctl start stemedb-drill")
    watch.until_firing("StemedbDrillFailed")
    machine.run(f"{flip}; systemctl start stemedb-drill")
    watch.until_quiet("StemedbDrillFailed")


def test_a_certificate_that_has_ended(machine: Machine, watch: Watch) -> None:
    watch.until_quiet("StemedbCertificateExpiring")
    deploy(machine, ends=datetime.now(timezone.utc) - timedelta(minutes=1))
    watch.until_firing("StemedbCertificateExpiring")
    deploy(machine, ends=datetime.now(timezone.utc) + timedelta(days=365))
    watch.until_quiet("StemedbCertificateExpiring")


def test_a_crowd_with_nobody_above_it(watch: Watch, traffic: Traffic) -> None:
    watch.until_quiet("StemedbEscalationPending")
    crowd = [
        claim(subject="crowd", predicate="says", source_class="Anecdotal", timestamp=1_700_000_000 + number)
        for number in range(CROWD)
    ]
    traffic.post(
        "/v1/assert/bulk", b"\n".join(msgspec.json.encode(each) for each in crowd), "application/x-ndjson"
    )
    watch.until_firing("StemedbEscalationPending")
    expert = claim(subject="crowd", predicate="says", source_class="Clinical")
    traffic.post("/v1/assert", msgspec.json.encode(expert))
    watch.until_quiet("StemedbEscalationPending")


def test_the_agent_is_shut_out_for_long(watch: Watch, traffic: Traffic) -> None:
    watch.until_firing("StemedbBreakerOpenLong")
    traffic.end()
    traffic.post(f"/v1/admin/circuit_breakers/{FLOOD.agent_id.hex()}/reset", b"")
    watch.until_quiet("StemedbBreakerOpenLong")


def test_all_is_quiet_again(watch: Watch) -> None:
    # Whether a time service keeps the clock of the machine below is not this scenario's affair.
    watch.until_quiet(*({alert.name for alert in alerts()} - {"StemedbClockOff"}))
