"""The root of a real Ubuntu 22.04, RHEL 9 (UBI) or rebuild, from a container registry that is in reach.

Usage: imageroot.py root    print the name of the baked root of the image that STEMEDB_TEST_IMAGE names

The image (docker.io/library/ubuntu:22.04 and the like) is made a host: systemd, SSH, sudo, and every package
that the roles name for that system. So hosts started from it need no way out, and a name that the system's
archive does not have ends it here.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script, from any folder
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import yaml

from tools import testhost

VARIABLE = "STEMEDB_TEST_IMAGE"
BUILDER = "image-builder"
OS_VARS = testhost.REPOSITORY / "roles" / "stemedb_common" / "vars" / "os"
# By ID of /etc/os-release: its variables from the family to the version, and what makes a host of its image.
SYSTEMS = {
    "debian": (
        ("debian", "debian-12"),
        "systemd systemd-sysv dbus iproute2 openssh-server procps python3 sudo",
    ),
    "ubuntu": (
        ("debian", "ubuntu-22.04"),
        "systemd systemd-sysv dbus iproute2 openssh-server procps python3 sudo",
    ),
    "rhel": (("redhat", "redhat-9"), "systemd dbus-daemon iproute openssh-server procps-ng python3 sudo"),
    "rocky": (("redhat", "redhat-9"), "systemd dbus-daemon iproute openssh-server procps-ng python3 sudo"),
    "almalinux": (
        ("redhat", "redhat-9"),
        "systemd dbus-daemon iproute openssh-server procps-ng python3 sudo",
    ),
}
APT = """
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq --yes --no-install-recommends {packages} >/dev/null
apt-get clean
systemctl disable nginx prometheus prometheus-alertmanager prometheus-node-exporter 2>/dev/null || true
"""
# Some of the names come from EPEL.
DNF = """
set -e
dnf install --quiet --assumeyes https://dl.fedoraproject.org/pub/epel/epel-release-latest-9.noarch.rpm
dnf install --quiet --assumeyes {packages}
dnf clean all >/dev/null
ssh-keygen -A
systemctl enable sshd
"""
FINISH = (
    "[ -e /sbin/init ] || ln -s /lib/systemd/systemd /sbin/init; : > /etc/machine-id; rm -f /run/nologin\n"
)


def main() -> None:
    """Read the command line and do the one thing it names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("command", choices=("root",))
    parser.parse_args()
    image = os.environ.get(VARIABLE)
    if not image:
        sys.exit(f"imageroot: {VARIABLE} names no image, such as docker.io/library/ubuntu:22.04")
    try:
        print(root(image))
    except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
        sys.exit(f"imageroot: {error}")


def root(image: str) -> str:
    """The name of the baked root of that image, made if there is none for it and these packages."""
    named = {path.name: path.read_text() for path in sorted(OS_VARS.glob("*.yml"))}
    recipe = json.dumps([image, APT, DNF, FINISH, SYSTEMS, named])
    name = f"image-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    if not testhost.baked_folder(name).is_dir():
        print(f"Making {testhost.baked_folder(name)}.", file=sys.stderr, flush=True)
        container = testhost.full_name(BUILDER)
        testhost.down(BUILDER)
        try:
            limits = ("--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096")
            testhost.podman("run", "--detach", "--name", container, *limits, image, "sleep", "infinity")
            testhost.podman("exec", "--interactive", container, "sh", stdin=script(container) + FINISH)
            testhost.bake(BUILDER, name)
        finally:
            testhost.down(BUILDER)
    return name


def script(container: str) -> str:
    """What makes a host of the image that the container runs.

    Raises:
        RuntimeError: it is none of the systems that there is a record of.
    """
    system = testhost.podman("exec", container, "sh", "-c", ". /etc/os-release && echo $ID").strip()
    if system not in SYSTEMS:
        raise RuntimeError(f"{system or 'the image'} is none of {', '.join(SYSTEMS)}")
    files, basic = SYSTEMS[system]
    values: dict[str, object] = {}
    for name in files:
        values |= yaml.safe_load((OS_VARS / f"{name}.yml").read_text())
    named = [str(value) for name, value in values.items() if name.endswith("_package") and value]
    packages = " ".join(dict.fromkeys([*basic.split(), *named]))
    return (DNF if "redhat" in files else APT).format(packages=packages)


if __name__ == "__main__":
    main()
