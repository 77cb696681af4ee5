"""Test machines from the shell, for scenarios that are no Python.

Usage: python -m tools.testvm COMMAND NAME
    up      make NAME anew and boot it; prints how to reach it as JSON. From the pristine image, with
            --converged from one on which the playbook has run
    cut     cut its power; what its data disk was not told to flush is gone
    boot    switch it on again
    reboot  restart it in order
    down    remove it

Machines lie below build/testvms/ and outlive the command.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys

from tools import testhost
from tools.testvm.image import Image, converged, plain
from tools.testvm.machine import HOST_MEMORY_MB, SSH_PORT, Machine

FOLDER = testhost.REPOSITORY / "build" / "testvms"
FORWARDS = (SSH_PORT, 80, 443, 18180)


def main() -> None:
    """Read the command line and do the one thing it names."""
    parser = argparse.ArgumentParser(prog="testvm", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("command", choices=("up", "cut", "boot", "reboot", "down"))
    parser.add_argument("name")
    parser.add_argument("--converged", action="store_true")
    arguments = parser.parse_args()
    try:
        if arguments.command == "up":
            image = converged({"stemedb_profile": "none"}) if arguments.converged else plain()
            print(json.dumps(up(arguments.name, image)))
        elif arguments.command == "down":
            down(arguments.name)
        else:
            machine = Machine(FOLDER / arguments.name)
            {"cut": machine.cut_power, "boot": machine.boot, "reboot": machine.reboot}[arguments.command]()
    except (OSError, RuntimeError) as error:
        sys.exit(f"testvm: {error}")


def up(name: str, image: Image) -> dict[str, object]:
    """Start a fresh machine of that name; answers when SSH does. `ports` are those on 127.0.0.1."""
    down(name)
    machine = Machine.create(FOLDER / name, image, memory_mb=HOST_MEMORY_MB, forwards=FORWARDS)
    try:
        machine.boot()
    except BaseException:
        machine.close()
        raise
    return {
        "name": name,
        "address": "127.0.0.1",
        "user": testhost.USER,
        "key": str(testhost.identity()),
        "ports": {str(port): machine.port(port) for port in FORWARDS},
    }


def down(name: str) -> None:
    """Remove the machine, if there is one."""
    folder = FOLDER / name
    if (folder / "machine.json").exists():
        Machine(folder).close()
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
