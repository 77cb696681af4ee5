"""Further runs of the playbook: what they refuse, and that the host is whole again afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.host.live.conftest import Machine

# As an INI inventory or `-e name=value` would hand them over.
STRINGS = {
    "stemedb_preflight_enforce": "false",
    "stemedb_no_log": "false",
    "stemedb_release_keep": "3",
    "stemedb_health_timeout_s": "60",
}


def test_takes_booleans_and_numbers_as_strings(machine: Machine) -> None:
    run = machine.play("--check", **STRINGS)
    assert (run.status, run.changed) == (0, 0), run.output


def test_stops_with_a_table_where_the_disk_is_too_small(machine: Machine) -> None:
    machine.run("mkdir -p /run/small")  # a file system in memory
    small = {"stemedb_wal_dir": "/run/small/wal", "stemedb_db_dir": "/run/small/db"}
    run = machine.play("--tags", "preflight", **small)
    assert run.status != 0
    assert "stop  disk of log and view  50 GB" in run.output
    run = machine.play("--tags", "preflight", stemedb_preflight_enforce="false", **small)
    assert run.status == 0, run.output
    assert "disk of log and view: wanted 50 GB" in run.output


def test_stops_where_another_holds_the_port(machine: Machine) -> None:
    run = machine.play("--tags", "preflight", stemedb_bind_addr="0.0.0.0:22")
    assert run.status != 0
    assert "stop  port" in run.output
    assert "sshd" in run.output


def test_fails_with_the_journal_and_heals(machine: Machine) -> None:
    socket = machine.shown("stemedb-api.socket", "InvocationID")
    broken = machine.play(stemedb_settings={"STEMEDB_NONSENSE": "1"})
    assert broken.status != 0
    assert machine.shown("stemedb-api.socket", "InvocationID") == socket  # a setting leaves the port held
    assert "did not become healthy" in broken.output
    assert "STEMEDB_NONSENSE" in broken.output.partition("Its journal, last lines:")[2]
    # It went back by itself, and the next run finds nothing to heal.
    assert "is back, with its configuration and units, and healthy" in broken.output
    assert machine.get("/v1/health")["status"] == "healthy"
    assert "STEMEDB_NONSENSE" not in machine.run("cat /etc/stemedb/config.env")
    healed = machine.play()
    assert healed.status == 0, healed.output
    assert machine.get("/v1/health")["status"] == "healthy"


def test_makes_good_what_a_killed_run_left(machine: Machine) -> None:
    exported = "/var/lib/stemedb-metrics/stemedb_tls.prom"
    before = machine.shown("stemedb-api.service", "InvocationID")
    machine.run("touch /etc/stemedb/config.env")  # newer than the process that read it
    machine.run(f"rm {exported}")  # a handler's, which had not run
    run = machine.play()
    assert run.status == 0, run.output
    assert machine.shown("stemedb-api.service", "InvocationID") != before
    machine.run(f"grep stemedb_tls_cert_expiry_seconds {exported}")


def test_hides_secrets(machine: Machine) -> None:
    canary = "steme_live_" + "canary" * 7 + "x"
    run = machine.play("--check", "--diff", "-vvv", stemedb_root_api_key=canary)
    assert run.status == 0, run.output
    assert canary not in run.output
    refused = machine.play("-vvv", stemedb_root_api_key=canary, stemedb_profile="nonsense")
    assert refused.status != 0
    assert canary not in refused.output
