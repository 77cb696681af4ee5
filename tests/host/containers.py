"""A systemd container for tests outside Molecule's scenarios: started, reached over SSH, removed."""

from __future__ import annotations

import json
import shlex
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tools import testhost

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

COMMAND_TIMEOUT_S = 300


class Container:
    """A host of tools/testhost.py, by its SSH as `deploy`, who may use sudo."""

    def __init__(self, reached: dict[str, str], folder: Path) -> None:
        self.name = reached["name"]
        self.address = reached["address"]
        self.login = f"{reached['user']}@{self.address}"
        self.ssh_config = folder / "ssh_config"
        self.ssh_config.write_text(
            f"IdentityFile {reached['key']}\nStrictHostKeyChecking no\nUserKnownHostsFile /dev/null\n"
            "LogLevel ERROR\nBatchMode yes\n"
        )

    def run(self, script: str) -> str:
        """Run a script as root and return what it prints; what fails in it fails the test."""
        done = self.tried(script)
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}{self.journal()}"
        return done.stdout

    def tried(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a script as root, whatever comes of it."""
        return subprocess.run(
            ["ssh", "-F", self.ssh_config, self.login, "sudo", "-i", "bash", "-euo", "pipefail", "-s"],
            input=script,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_TIMEOUT_S,
        )

    def ssh_bytes(self, command: str, *, sudo: bool = False) -> bytes:
        """Run one command whose output is no text."""
        words = ["sudo", "sh", "-c", shlex.quote(command)] if sudo else [command]
        done = subprocess.run(
            ["ssh", "-F", self.ssh_config, self.login, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=COMMAND_TIMEOUT_S,
        )
        return done.stdout

    def inventory(self, folder: Path, groups: Sequence[str] = ("stemedb",)) -> Path:
        """Write an inventory that holds this host alone, of whatever size, in those groups."""
        host = {
            "ansible_host": self.address,
            "ansible_user": self.login.partition("@")[0],
            "ansible_ssh_common_args": f"-F {self.ssh_config}",
            "ansible_python_interpreter": "/usr/bin/python3",
            "stemedb_profile": "none",
        }
        path = folder / "inventory.json"
        path.write_text(json.dumps({group: {"hosts": {self.name: host}} for group in groups}))
        return path

    def journal(self) -> str:
        """The units' last words."""
        return self.tried("journalctl --no-pager -n 30 -u 'stemedb*'").stdout


# What stands outside the internal networks, without a second machine: a network of its own behind the host.
OUTSIDE_SCRIPT = """
ip netns add outside
ip link add inner type veth peer name outer netns outside
for address in 203.0.113.1/24 2001:db8::1/64; do ip addr add $address dev inner nodad; done
ip link set inner up
for address in 203.0.113.9/24 2001:db8::9/64; do ip -n outside addr add $address dev outer nodad; done
ip -n outside link set outer up
"""
OUTSIDE_ADDRESSES = {4: "203.0.113.1", 6: "2001:db8::1"}


class Outside:
    """A client that the host meets as 203.0.113.9 and 2001:db8::9."""

    def __init__(self, host: Container) -> None:
        self.host = host
        host.run(OUTSIDE_SCRIPT)

    def tried(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a script there, whatever comes of it."""
        return self.host.tried(f"exec ip netns exec outside bash -euo pipefail <<'END'\n{script}\nEND\n")

    def reaches(self, port: int, version: int = 4) -> bool:
        """Whether a connection to that port is taken or refused by name, not dropped."""
        address = OUTSIDE_ADDRESSES[version]
        code = f"import socket; socket.create_connection(('{address}', {port}), 2)"
        tried = self.tried(f'python3 -c "{code}"')
        return tried.returncode == 0 or "ConnectionRefusedError" in tried.stderr


@contextmanager
def container(name: str, folder: Path, *, root: str = "", offline: bool = True) -> Iterator[Container]:
    """Start a host of that name from the pristine root or a baked one; it is removed at the end."""
    try:
        yield Container(testhost.up(name, root=root, offline=offline), folder)
    finally:
        testhost.down(name)
