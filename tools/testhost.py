"""Hosts to test the roles on: systemd containers on a root that debootstrap makes once and a cache keeps.

Usage:
    testhost.py root                  make the cached root, print its folder
    testhost.py up NAME [--offline]   start a host, print how to reach it as JSON
    testhost.py down NAME             remove it
    testhost.py bake NAME AS          keep NAME's disk as a further root (`up --root AS` starts from it)

Each host gets a throw-away overlay over its root, an address on podman's bridge, SSH as `deploy` (who may
use sudo, and has no other right), and with --offline no way out of the bridge. Needs root and the Debian
packages of molecule/packages.txt. The cache is $XDG_CACHE_HOME/stemedb/testhosts.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).resolve().parent.parent
SUITE = "bookworm"
# Installed beforehand, since hosts have no way to an archive; a bare host runs none of them.
NOT_RUNNING = ("nginx", "prometheus", "prometheus-node-exporter")
PACKAGES = REPOSITORY / "molecule" / "shared" / "debian-12.packages"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stemedb" / "testhosts"
USER = "deploy"
BOOT_TIMEOUT_S = 90
# runc, since crun refuses machines with both cgroup hierarchies; cgroupfs, since the machine itself may have
# no systemd; netavark by name, since podman would else pick a half-installed CNI.
PODMAN_SETTINGS = (
    '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\n[network]\nnetwork_backend = "netavark"\n'
)


def main() -> None:
    """Read the command line and do the one thing it names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("root")
    up_parser = commands.add_parser("up")
    up_parser.add_argument("name")
    up_parser.add_argument("--offline", action="store_true")
    up_parser.add_argument("--root", default="", help="a baked root instead of the pristine one")
    up_parser.add_argument("--hostname", default="", help="default: the baked root's, else NAME")
    commands.add_parser("down").add_argument("name")
    bake_parser = commands.add_parser("bake")
    bake_parser.add_argument("name")
    bake_parser.add_argument("root")
    arguments = parser.parse_args()
    try:
        if arguments.command == "root":
            print(base_root())
        elif arguments.command == "up":
            host = up(
                arguments.name,
                root=arguments.root,
                hostname=arguments.hostname,
                offline=arguments.offline,
            )
            print(json.dumps(host))
        elif arguments.command == "down":
            down(arguments.name)
        else:
            print(bake(arguments.name, arguments.root))
    except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
        sys.exit(f"testhost: {error}")


def up(name: str, *, root: str = "", hostname: str = "", offline: bool = False) -> dict[str, str]:
    """Start a fresh host of that name; answers when systemd is up and SSH listens."""
    folder = baked_folder(root) if root else base_root()
    if not folder.is_dir():
        raise RuntimeError(f"no root {folder}: bake it first")
    key = identity()
    known_as = hostname or (root and (folder / "etc/hostname").read_text().strip()) or name
    down(name)
    podman(
        *("run", "--detach", "--name", full_name(name), "--hostname", known_as),
        *("--systemd=always", "--privileged"),
        *("--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096"),
        *("--rootfs", f"{folder}:O", "/sbin/init"),
    )
    address = podman("inspect", full_name(name), "--format", "{{.NetworkSettings.IPAddress}}").strip()
    wait_for_boot(name, address)
    admit(name, key.with_suffix(".pub").read_text())
    if offline:
        podman("exec", full_name(name), "ip", "route", "del", "default")
    return {"name": name, "address": address, "user": USER, "key": str(key)}


def down(name: str) -> None:
    """Remove the host, if there is one."""
    podman("rm", "--force", "--ignore", "--time", "0", full_name(name))


def bake(name: str, root: str) -> Path:
    """Keep the host's disk as a root of its own, so that later scenarios need not converge again."""
    folder = baked_folder(root)
    fresh = folder.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    # runs as a pipe: the disk is never on the machine as one file
    with subprocess.Popen(
        podman_command("export", full_name(name)), env=podman_environment(), stdout=-1
    ) as export:
        # by number: an account of the host's may have another number on this machine
        subprocess.run(["tar", "-x", "--numeric-owner", "-C", fresh], stdin=export.stdout, check=True)
    if export.returncode:
        raise RuntimeError(f"podman export ended with {export.returncode}")
    (fresh / "etc/machine-id").write_text("")
    # podman mounts its own over it; what the host configured for that name must find it again
    hostname = podman("inspect", full_name(name), "--format", "{{.Config.Hostname}}")
    (fresh / "etc/hostname").write_text(hostname)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    return folder


def base_root() -> Path:
    """The pristine root's folder, made if this list of packages has none yet."""
    packages = [line for line in PACKAGES.read_text().split("\n") if line and not line.startswith("#")]
    recipe = hashlib.sha256(repr((SUITE, packages, NOT_RUNNING)).encode()).hexdigest()[:12]
    folder = CACHE / f"{SUITE}-{recipe}"
    with locked():
        if folder.is_dir():
            return folder
        print(f"Making {folder}: about a minute, once.", file=sys.stderr)
        fresh = folder.with_suffix(".new")
        shutil.rmtree(fresh, ignore_errors=True)
        log = CACHE / "debootstrap.log"
        with log.open("wb") as output:
            command = [
                "debootstrap",
                "--variant=minbase",
                f"--include={','.join(packages)}",
                SUITE,
                str(fresh),
            ]
            if subprocess.run(command, stdout=output, stderr=output, check=False).returncode:
                tail = "\n".join(log.read_text(errors="replace").split("\n")[-10:])
                raise RuntimeError(f"debootstrap failed, the end of {log}:\n{tail}")
        # Debian starts what it installs; here that has to wait for the roles.
        subprocess.run(
            ["chroot", fresh, "systemctl", "disable", *NOT_RUNNING],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        for spare in ("var/cache/apt", "var/lib/apt/lists"):
            shutil.rmtree(fresh / spare, ignore_errors=True)
        # Empty, not absent: absent means first boot, and presets would then enable every unit.
        (fresh / "etc/machine-id").unlink(missing_ok=True)
        (fresh / "etc/machine-id").touch(mode=0o444)
        fresh.rename(folder)
    return folder


def baked_folder(root: str) -> Path:
    """Where a baked root lies."""
    return CACHE / f"baked-{root}"


def wait_for_boot(name: str, address: str) -> None:
    """Wait until systemd has started everything and SSH answers; a degraded boot is an error."""
    deadline = time.monotonic() + BOOT_TIMEOUT_S
    state = ""
    while state != "running" or not listens(address, 22):
        if time.monotonic() > deadline or state == "degraded":
            failed = podman("exec", full_name(name), "systemctl", "--failed", "--no-pager", check=False)
            raise RuntimeError(f"{name} did not come up: {state or 'no answer'}\n{failed}")
        time.sleep(0.2)
        state = podman("exec", full_name(name), "systemctl", "is-system-running", check=False).strip()


def listens(address: str, port: int) -> bool:
    """Whether something accepts there."""
    try:
        with socket.create_connection((address, port), timeout=1):
            return True
    except OSError:
        return False


def admit(name: str, public_key: str) -> None:
    """Make the account that deploys: a key, and sudo without a password, as cloud images have it."""
    script = f"""
        set -e
        id {USER} >/dev/null 2>&1 || useradd --create-home --shell /bin/bash {USER}  # a baked root has it
        install -d -m 700 -o {USER} -g {USER} /home/{USER}/.ssh
        cat > /home/{USER}/.ssh/authorized_keys
        chown {USER}: /home/{USER}/.ssh/authorized_keys
        echo '{USER} ALL=(ALL) NOPASSWD:ALL' > /etc/sudoers.d/{USER}
        """
    podman("exec", "--interactive", full_name(name), "sh", "-c", script, stdin=public_key)


def identity() -> Path:
    """The key that every test host admits; made once."""
    key = CACHE / "id_ed25519"
    with locked():
        if not key.exists():
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "testhost", "-f", key], check=True
            )
    return key


def full_name(name: str) -> str:
    """The container's name: two checkouts on one machine must not take each other's hosts."""
    return f"stemedb-{name}-{hashlib.sha256(bytes(REPOSITORY)).hexdigest()[:8]}"


def podman_command(*arguments: str) -> list[str]:
    """The command line; says what is missing where podman is not installed."""
    found = shutil.which("podman")
    if not found:
        raise RuntimeError("podman is missing: apt-get install the packages of molecule/packages.txt")
    return [found, *arguments]


def podman_environment() -> dict[str, str]:
    """Our own settings file, so that the machine's podman configuration stays as it is."""
    settings = CACHE / "containers.conf"
    CACHE.mkdir(parents=True, exist_ok=True)
    if not settings.exists() or settings.read_text() != PODMAN_SETTINGS:
        settings.write_text(PODMAN_SETTINGS)
    return {**os.environ, "CONTAINERS_CONF": str(settings)}


def podman(*arguments: str, stdin: str = "", check: bool = True) -> str:
    """Run podman; returns what it prints, raises with its complaint when it fails and `check` is set."""
    done = subprocess.run(
        podman_command(*arguments),
        env=podman_environment(),
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    if check and done.returncode:
        raise RuntimeError(f"podman {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


@contextmanager
def locked() -> Iterator[None]:
    """One maker at a time: two scenarios started together would build into the same folder."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    main()
