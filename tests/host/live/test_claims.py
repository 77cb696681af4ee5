"""The end of the road: a signed claim goes in where clients are, and comes back."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

from stemedb import limits
from stemedb.client import Client
from tests.builders import signed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.host.live.conftest import Machine


def test_asserts_and_reads_back_a_signed_claim(
    machine: Machine, command: Callable[[str], str], tmp_path: Path
) -> None:
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "STEMEDB_URL": machine.url,
        "STEMEDB_KEYRING": str(tmp_path / "keyring"),
    }

    def stemedb(*arguments: str) -> Any:  # noqa: ANN401  (any JSON)
        done = subprocess.run(
            [command("stemedb"), *arguments, "--json"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    agent = stemedb("keygen", "witness")
    made = stemedb("assert", "host:molecule", "installed", "true", "--as", "witness")
    assert made["status"] == "created"

    found = stemedb("query", "host:molecule", "installed")["assertions"]
    assert [claim["hash"] for claim in found] == [made["hash"]]
    assert [signature["agent_id"] for signature in found[0]["signatures"]] == [agent["agent_id"]]

    # It was on stable storage when it was acknowledged, and is still there for the next process.
    machine.run("systemctl kill --signal=KILL stemedb-api.service")
    assert machine.get(f"/v1/assertion/{made['hash']}")["seq"] == made["seq"]


def test_verifies_many_claims_in_processes_that_the_unit_allows(machine: Machine) -> None:
    claims = [signed(subject=f"host:{number}") for number in range(2 * limits.VERIFIED_APART_MIN)]
    with Client(machine.url) as client:
        assert {result.error for result in client.bulk(claims)} == {None}
    assert machine.run("systemctl status --no-pager stemedb-api.service").count("verifier.py") == 2
    assert "verifier lost" not in machine.run("journalctl --no-pager --boot --unit stemedb-api.service")
