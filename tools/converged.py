"""Roots of test hosts on which the project's playbook has run already, so that scenarios start behind it.

Usage:
    converged.py root         print the name of the converged root, made if there is none (about a minute)
    converged.py keep NAME    make it of the running host NAME, which a scenario has just converged

`testhost.py up OTHER --root $(converged.py root)` then takes seconds, and so does a Molecule scenario whose
inventory says `testhost_root: converged`. The name holds a hash of all that a run
reads (roles, playbooks, release) and of the root below it, so that checkouts share what is the same and never
take each other's. Data folders and journal are empty; the host is named as the default scenario's.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

if __name__ == "__main__":  # run as a script, from any folder
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools import testhost, wheelhouse

HOST_NAME = "stemedb-debian-12"
HOST_PYTHON, HOST_ARCH = "3.11", "x86_64"
BUILDER = "converged-builder"
KIND = "converged"
GROUPS = ("stemedb", "stemedb_monitoring")
# Each change of the sources makes one; as many checkouts can work beside each other.
ROOTS_MAX = 6
REST_SCRIPT = "systemctl stop stemedb-api.socket stemedb-api.service"
# What a root must not hand on: a log of its own, which every host started from it would continue, and the
# trust in that log's key, which no host has.
EMPTIED = ("data/wal", "data/db", "backups", "var/log/journal")
LEFT_OUT = ("etc/stemedb/trusted_keys",)


def main() -> None:
    """Read the command line and do the one thing it names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("root")
    commands.add_parser("keep").add_argument("name")
    arguments = parser.parse_args()
    try:
        print(root() if arguments.command == "root" else keep(arguments.name))
    except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
        sys.exit(f"converged: {error}")


def root() -> str:
    """The name of the root that the sources as they are now converge to, made if there is none."""
    name = root_name()
    with locked():
        folder = testhost.baked_folder(name)
        if folder.is_dir():
            os.utime(folder)
            return name
        print(f"Making {folder}: about a minute, once.", file=sys.stderr, flush=True)
        try:
            testhost.up(BUILDER, hostname=HOST_NAME, offline=True)
            converge(BUILDER, HOST_NAME, {"stemedb_profile": "none"})
            bake(BUILDER, name)
        finally:
            testhost.down(BUILDER)
    return name


def keep(host: str) -> str:
    """Make the root of a host that the sources as they are now have converged; it stays as it was."""
    name = root_name()
    with locked():
        if not testhost.baked_folder(name).is_dir():
            bake(host, name)
            inside(host, "systemctl start stemedb-api.socket stemedb-api.service")
    return name


def bake(host: str, name: str) -> None:
    """Put the host's service to rest and keep its disk, without the data that it has and keeps."""
    inside(host, REST_SCRIPT)
    folder = testhost.bake(host, name)
    for emptied in EMPTIED:
        for path in (folder / emptied).iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for left_out in LEFT_OUT:
        (folder / left_out).unlink()
    forget_old()


def root_name() -> str:
    """The name for the sources as they are now."""
    house = wheelhouse.Wheelhouse(HOST_PYTHON, HOST_ARCH, Path())
    emptied = [*EMPTIED, *LEFT_OUT]
    recipe = [testhost.base_root().name, GROUPS, emptied, wheelhouse.digest(house), playbook_digest()]
    return f"{KIND}-{short_hash(recipe)}"


def converge(host: str, name: str, variables: Mapping[str, object], groups: Sequence[str] = GROUPS) -> None:
    """Run the project's playbook on a container that stands in those groups, as an operator would.

    Raises:
        RuntimeError: the playbook failed; with the end of its output.
    """
    with tempfile.TemporaryDirectory() as scratch:
        inventory = Path(scratch) / "hosts.json"
        hosts = {"hosts": {name: access(host) | dict(variables)}}
        inventory.write_text(json.dumps(dict.fromkeys(groups, hosts)))
        done = subprocess.run(
            [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(inventory), "site.yml"],
            cwd=testhost.REPOSITORY,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"the playbook failed:\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}")


def access(host: str) -> dict[str, object]:
    """What an inventory says of a running container."""
    address = testhost.podman(
        "inspect", testhost.full_name(host), "--format", "{{.NetworkSettings.IPAddress}}"
    )
    return {
        "ansible_host": address.strip(),
        "ansible_user": testhost.USER,
        "ansible_ssh_private_key_file": str(testhost.identity()),
        "ansible_ssh_common_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null",
        "ansible_python_interpreter": "/usr/bin/python3",
    }


def inside(host: str, script: str) -> None:
    """Run a script as root in the container."""
    testhost.podman("exec", "--interactive", testhost.full_name(host), "sh", stdin=script)


def playbook_digest() -> str:
    """Hash everything that a run of the playbook reads from the checkout."""
    folders = [testhost.REPOSITORY / name for name in ("roles", "playbooks", "files", "templates")]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    files += [testhost.REPOSITORY / "site.yml", testhost.REPOSITORY / "ansible.cfg"]
    return short_hash(
        [
            (str(path.relative_to(testhost.REPOSITORY)), hashlib.sha256(path.read_bytes()).hexdigest())
            for path in sorted(files)
            if "__pycache__" not in path.parts
        ]
    )


def forget_old() -> None:
    """Keep the last few roots, and those that a host stands on."""
    hosts = testhost.podman("ps", "--all", "--quiet").split()
    # Other checkouts' hosts may go meanwhile.
    found = testhost.podman("inspect", *hosts, "--format", "{{.Rootfs}}", check=False) if hosts else ""
    used = set(found.split())
    pattern = testhost.baked_folder(f"{KIND}-*")
    roots = sorted(pattern.parent.glob(pattern.name), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in roots[ROOTS_MAX:]:
        if not any(folder.startswith(str(path)) for folder in used):
            shutil.rmtree(path, ignore_errors=True)


def short_hash(what: object) -> str:
    """12 hex digits that stand for `what`, which must be JSON."""
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:12]


@contextmanager
def locked() -> Iterator[None]:
    """One maker at a time, of whatever checkout."""
    testhost.CACHE.mkdir(parents=True, exist_ok=True)
    with (testhost.CACHE / "converged.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    main()
