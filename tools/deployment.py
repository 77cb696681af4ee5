"""How long it takes from `git clone` to the first answered question on a bare host, step by step.

Usage: python -m tools.deployment [--vm]

The host is a fresh Debian 12 in a systemd container, or with --vm in an emulated virtual machine, where each
task takes several times as long. It stands before the clock starts, as a rented server does, and has the
distribution's packages that the roles would else fetch; the wheels come from the package index. Prints a
table, and one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tools import testhost, testvm
from tools.testvm.machine import API_PORT, HOST_MEMORY_MB, SSH_PORT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NAME = "deployment"
SUBJECT, PREDICATE, VALUE = "host:bare", "answers", "yes"


class Host(NamedTuple):
    """How a bare host is reached: by SSH, and once it is deployed by its API."""

    address: str
    ssh_port: int
    api_port: int


def main() -> None:
    """Bring the host up, walk the steps on it, and say what each took."""
    parser = argparse.ArgumentParser(prog="deployment", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--vm", action="store_true", help="a virtual machine instead of a container")
    vm = parser.parse_args().vm
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            with machine(folder / "machine") if vm else container() as host:
                taken = deploy(folder, host)
    except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
        sys.exit(f"deployment: {error}")
    taken["all of it"] = sum(taken.values())
    for step, seconds in taken.items():
        print(f"{step:<28}{seconds:>8.1f} s")
    print(json.dumps({step: round(seconds, 1) for step, seconds in taken.items()}))


@contextmanager
def container() -> Iterator[Host]:
    """Run a bare host in a container, without a way to any archive."""
    try:
        yield Host(testhost.up(NAME, offline=True)["address"], SSH_PORT, API_PORT)
    finally:
        testhost.down(NAME)


@contextmanager
def machine(folder: Path) -> Iterator[Host]:
    """Run a bare host with a kernel of its own; its ports are reached on the loopback interface."""
    made = testvm.Machine.create(folder, testvm.plain(), memory_mb=HOST_MEMORY_MB)
    try:
        made.boot()
        yield Host("127.0.0.1", made.port(SSH_PORT), made.port(API_PORT))
    finally:
        made.close()


def deploy(folder: Path, host: Host) -> dict[str, float]:
    """Do what README.md says, in its order; returns the seconds of each step.

    Raises:
        RuntimeError: a step failed, or the question was answered otherwise.
    """
    checkout = folder / "stemedb"
    inventory = folder / "hosts.json"
    inventory.write_text(json.dumps({"stemedb": {"hosts": {NAME: reached(host)}}}))
    environment = {
        **os.environ,
        # What a former run has downloaded would be left out of the figure.
        "PIP_NO_CACHE_DIR": "1",
        "STEMEDB_URL": f"http://{host.address}:{host.api_port}",
        "STEMEDB_KEYRING": str(folder / "keys.json"),
    }
    stemedb = ".venv/bin/stemedb"
    steps: dict[str, list[list[str]]] = {
        "git clone": [["git", "clone", "--quiet", str(testhost.REPOSITORY), str(checkout)]],
        "make venv": [["make", "venv"]],
        "ansible-playbook site.yml": [[".venv/bin/ansible-playbook", "-i", str(inventory), "site.yml"]],
        "keygen, assert, query": [
            [stemedb, "keygen", "first"],
            [stemedb, "assert", SUBJECT, PREDICATE, VALUE, "--as", "first"],
            [stemedb, "query", SUBJECT, PREDICATE],
        ],
    }
    taken = {}
    answer = ""
    for step, commands in steps.items():
        started = time.monotonic()
        for command in commands:
            answer = run(command, checkout if checkout.is_dir() else folder, environment)
        taken[step] = time.monotonic() - started
    if VALUE not in answer:
        raise RuntimeError(f"the question was answered with {answer!r}")
    return taken


def reached(host: Host) -> dict[str, str | int]:
    """What an inventory says of the host; its disk is smaller than any profile asks for."""
    return {
        "ansible_host": host.address,
        "ansible_port": host.ssh_port,
        "ansible_user": testhost.USER,
        "ansible_ssh_private_key_file": str(testhost.identity()),
        "ansible_ssh_common_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null",
        "stemedb_profile": "none",
    }


def run(command: list[str], folder: Path, environment: Mapping[str, str]) -> str:
    """What a command prints.

    Raises:
        RuntimeError: it failed; with the end of its output.
    """
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}")
    return done.stdout


if __name__ == "__main__":
    main()
