"""How long it takes from `git clone` to the first answered question on a bare host, step by step.

Usage: python -m tools.deployment

The host is a fresh Debian 12 in a systemd container. It stands before the clock starts, as a rented server
does, and has the distribution's packages that the roles would else fetch; the wheels come from the package
index. Prints a table, and one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tools import testhost

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "deployment"
API_PORT = 18180
SUBJECT, PREDICATE, VALUE = "host:bare", "answers", "yes"


def main() -> None:
    """Bring the host up, walk the steps on it, and say what each took."""
    argparse.ArgumentParser(prog="deployment", description=(__doc__ or "").partition("\n")[0]).parse_args()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            taken = deploy(Path(scratch), testhost.up(NAME, offline=True))
    except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
        sys.exit(f"deployment: {error}")
    finally:
        testhost.down(NAME)
    taken["all of it"] = sum(taken.values())
    for step, seconds in taken.items():
        print(f"{step:<28}{seconds:>8.1f} s")
    print(json.dumps({step: round(seconds, 1) for step, seconds in taken.items()}))


def deploy(folder: Path, host: Mapping[str, str]) -> dict[str, float]:
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
        "STEMEDB_URL": f"http://{host['address']}:{API_PORT}",
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


def reached(host: Mapping[str, str]) -> dict[str, str]:
    """What an inventory says of the host; its disk is smaller than any profile asks for."""
    return {
        "ansible_host": host["address"],
        "ansible_user": host["user"],
        "ansible_ssh_private_key_file": host["key"],
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
