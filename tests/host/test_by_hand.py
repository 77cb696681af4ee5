"""docs/by-hand.md does what it says, block by block, on a bare host without a way out."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import urllib.request
from typing import TYPE_CHECKING

import pytest

from tests.host.containers import Container, container
from tests.host.playbook import BIN, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs" / "by-hand.md").read_text()
BLOCK = re.compile(r"^<!-- run(?:: (\w+))? -->\n```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)
PILOT_LINES = {
    "STEMEDB_BIND_ADDR=0.0.0.0:18180",
    "STEMEDB_WAL_DIR=/data/wal",
    "STEMEDB_DB_DIR=/data/db",
    "STEMEDB_METER_ENABLED=true",
    "RUST_LOG=info",
}
# What stands outside the internal networks, without a second machine.
OUTSIDE = """
ip netns add outside
ip link add inner type veth peer name outer netns outside
ip addr add 203.0.113.1/24 dev inner
ip link set inner up
ip -n outside addr add 203.0.113.9/24 dev outer
ip -n outside link set outer up
"""
CONNECT = (
    "ip netns exec outside python3 -c 'import socket; socket.create_connection((\"203.0.113.1\", {}), 3)'"
)


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """A host on which every block of the page was run, as far as the one that restores."""
    folder = tmp_path_factory.mktemp("by-hand")
    with container("by-hand", folder) as host:
        for where, block in BLOCK.findall(PAGE):
            if where == "controller":
                on_controller(block, host, folder)
            elif not where:
                host.run(block)
        yield host


def on_controller(block: str, host: Container, folder: Path) -> None:
    """Run a block here, with an scp that knows the host's key."""
    (folder / "scp").write_text(f'#!/bin/sh\nexec /usr/bin/scp -q -F {host.ssh_config} "$@"\n')
    (folder / "scp").chmod(0o755)
    assert (ROOT / ".venv" / "bin") == BIN
    environment = {**os.environ, "HOST": host.login, "PATH": f"{folder}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-euo", "pipefail", "-c", block], cwd=ROOT, env=environment, check=True)


def blocks_of(step: str) -> str:
    section = re.split(r"^##? ", PAGE.split(f"\n{step}\n")[1], maxsplit=1, flags=re.MULTILINE)[0]
    return "".join(block for _, block in BLOCK.findall(section))


def test_has_the_pilots_seven_steps() -> None:
    assert [int(number) for number in re.findall(r"^## (\d)\. ", PAGE, re.MULTILINE)] == list(range(1, 8))
    assert all(line in blocks_of("## 4. Write the configuration") for line in PILOT_LINES)
    assert "Type=simple" in blocks_of("## 5. Write the unit")
    assert len(BLOCK.findall(PAGE)) == PAGE.count("```bash")


def test_runs_as_the_pilots_simple_service(by_hand: Container) -> None:
    shown = by_hand.run("systemctl show stemedb-api -p Type,ActiveState,User,UnitFileState,LimitNOFILE")
    assert set(shown.splitlines()) == {
        "Type=simple",
        "ActiveState=active",
        "User=stemedb",
        "UnitFileState=enabled",
        "LimitNOFILE=65536",
    }
    assert by_hand.run("stat -c '%a %U' /etc/stemedb/config.env") == "600 root\n"
    assert by_hand.run("find /data -type f -not -user stemedb") == ""


def test_stops_and_starts_in_order(by_hand: Container) -> None:
    by_hand.run("systemctl restart stemedb-api && until stemedb status; do sleep 0.2; done")
    by_hand.run("systemctl stop stemedb-api")
    shown = by_hand.run("systemctl show stemedb-api -p Result,ExecMainStatus --value")
    assert shown.split() == ["success", "0"]
    by_hand.run("systemctl start stemedb-api && until stemedb status; do sleep 0.2; done")


def test_closes_the_api_to_the_outside_and_opens_nginx(by_hand: Container) -> None:
    by_hand.run(OUTSIDE)
    by_hand.run(CONNECT.format(443))
    refused = by_hand.tried(CONNECT.format(18180))
    assert refused.returncode != 0
    assert "timed out" in refused.stderr


def test_answers_over_tls(by_hand: Container) -> None:
    trusting = ssl.create_default_context(cadata=by_hand.run("cat /etc/stemedb/tls/cert.pem"))
    trusting.check_hostname = False  # asked for by address
    with urllib.request.urlopen(
        f"https://{by_hand.address}/v1/health", context=trusting, timeout=30
    ) as reply:
        assert b'"healthy"' in reply.read()


def test_is_watched(by_hand: Container) -> None:
    by_hand.run(
        "until promtool query instant http://localhost:9090 'sum(up)' | grep -q '=> 2 '; do sleep 1; done"
    )


def test_comes_back_from_its_backup(by_hand: Container) -> None:
    before = by_hand.run("stemedb log head --json")
    by_hand.run("stemedb assert host://this after backup --as operator")
    (restore,) = [block for where, block in BLOCK.findall(PAGE) if where == "restore"]
    by_hand.run(restore)
    by_hand.run("until stemedb status; do sleep 0.2; done")
    assert by_hand.run("stemedb log head --json") == before
    assert by_hand.run("stemedb query host://this installed --lens recency") == "by-hand\n"


def test_reports_with_the_journal_and_without_the_key(by_hand: Container) -> None:
    secret = "steme_live_" + "canary" * 7 + "x"
    by_hand.run(
        f"echo STEMEDB_ROOT_API_KEY={secret} >> /etc/stemedb/config.env\n"
        "mkdir -p /etc/systemd/system/stemedb-api.service.d\n"
        f"printf '[Service]\\nEnvironment=RESTIC_PASSWORD={secret}\\n'"
        " > /etc/systemd/system/stemedb-api.service.d/canary.conf\n"
        "systemctl daemon-reload\nsystemctl restart stemedb-api\nuntil stemedb status; do sleep 0.2; done\n"
        f"python3 -c 'import urllib.request as u; u.urlopen(\"http://127.0.0.1:18180/v1/query?subject={secret}\")'"
    )
    by_hand.run("cd /root && stemedb report --output report.tar.gz && mkdir r && tar -xzf report.tar.gz -C r")
    assert by_hand.run("stat -c '%a %U' /root/report.tar.gz") == "600 root\n"
    assert by_hand.run(f"grep -rl {secret[11:]} /root/r || true") == ""
    by_hand.run(
        'cd /root/r/* && grep -q RESTIC_PASSWORD units.txt && grep -q \'"event":"ready"\' journal.txt'
    )
    by_hand.run(
        "cd /root/r/* && grep -q '\"status\":\"healthy\"' health.json && grep -q '/data/wal' files.txt"
    )
