"""Disk images of test machines: the container hosts' root with a kernel, pristine or converged.

Two layers, each kept in the cache under a hash of what it is made of: a root with a kernel, and images on it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tools import converged as converging
from tools import testhost, wheelhouse
from tools.converged import HOST_ARCH, HOST_PYTHON, playbook_digest, short_hash

CACHE = testhost.CACHE.parent / "testvms"
DATA_MB = 2048
ROOT_FREE_MB = 512
IMAGES_MAX = 3
BUILDER = "vm-builder"
BAKED = "vm-image"
HOST_NAME = "stemedb-vm"
# libeatmydata makes fsync and its kin do nothing, for tests that must see what happens without them.
KERNEL_SCRIPT = r"""
set -e
export DEBIAN_FRONTEND=noninteractive
# In the container they would act on the devices of the machine that builds.
for unit in systemd-udevd.service systemd-udev-trigger.service \
        systemd-udevd-control.socket systemd-udevd-kernel.socket; do
    ln -sf /dev/null /etc/systemd/system/$unit
done
apt-get update -qq
apt-get install -qq --yes --no-install-recommends initramfs-tools zstd libeatmydata1
# Only what finds the root: a third of the time to boot goes into unpacking the rest.
echo 'MODULES=list' > /etc/initramfs-tools/conf.d/testvm
printf 'virtio_pci\nvirtio_blk\next4\n' >> /etc/initramfs-tools/modules
apt-get install -qq --yes --no-install-recommends linux-image-cloud-amd64
apt-get clean
rm -rf /var/lib/apt/lists/*
"""
FINISH_SCRIPT = r"""
set -e
rm -f /etc/systemd/system/systemd-udev*
systemctl enable --quiet systemd-networkd.service
# Debian's own housekeeping costs a third of the time to boot, and more while a test runs.
systemctl mask --quiet e2scrub_reap.service e2scrub_all.timer apt-daily.timer apt-daily-upgrade.timer \
    dpkg-db-backup.timer fstrim.timer
# The log that began in the container is left behind, and with it the archive that is its own.
rm -rf /var/log/journal/* /backups/*
"""
FILES = {
    "etc/fstab": "/dev/vda / ext4 defaults 0 0\n/dev/vdb /data ext4 defaults 0 0\n",
    "etc/hostname": f"{HOST_NAME}\n",
    "etc/hosts": f"127.0.0.1 localhost\n127.0.1.1 {HOST_NAME}\n::1 localhost\n",
    "etc/systemd/network/80-testvm.network": "[Match]\nName=e*\n[Network]\nDHCP=ipv4\n",
}


class Image(NamedTuple):
    """What machines start from; the files are shared and never written to."""

    root: Path
    data: Path
    kernel: Path
    initrd: Path

    @classmethod
    def of(cls, folder: Path) -> Image:
        """The image that lies in `folder`."""
        return cls(folder / "root.img", folder / "data.img", folder / "vmlinuz", folder / "initrd.img")


def plain() -> Image:
    """A Debian host as the playbook first meets it, with an empty disk on /data."""
    return cached("plain", {}, lambda: None)


def converged(variables: Mapping[str, object]) -> Image:
    """A host that the project's playbook has converged with `variables`, its data folders still empty."""
    house = wheelhouse.Wheelhouse(HOST_PYTHON, HOST_ARCH, Path())
    recipe = {
        "release": wheelhouse.digest(house),
        "playbook": playbook_digest(),
        "variables": dict(variables),
    }
    return cached("converged", recipe, lambda: converge(variables))


def cached(kind: str, recipe: Mapping[str, object], prepare: Callable[[], None]) -> Image:
    """The image of that recipe, made if there is none: `prepare` acts on the host before it is baked."""
    with locked():
        below = kernel_root()
        folder = CACHE / f"{kind}-{short_hash([below, FINISH_SCRIPT, FILES, DATA_MB, dict(recipe)])}"
        if folder.is_dir():
            os.utime(folder)
            return Image.of(folder)
        say(f"Making {folder}.")
        with builder(below):
            prepare()
            root = testhost.bake(BUILDER, BAKED)
        fresh = folder.with_suffix(".new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        write(root, fresh)
        shutil.rmtree(root)
        fresh.rename(folder)
        forget_old(kind)
    return Image.of(folder)


def kernel_root() -> str:
    """The container hosts' root with a kernel in it, made if there is none yet; returns its name."""
    below = testhost.base_root()
    name = f"vm-{short_hash([below.name, KERNEL_SCRIPT])}"
    if not testhost.baked_folder(name).is_dir():
        say(f"Making {testhost.baked_folder(name)}: half a minute, once.")
        with builder(""):
            inside(KERNEL_SCRIPT)
            testhost.bake(BUILDER, name)
    return name


@contextmanager
def builder(root: str) -> Iterator[None]:
    """Run the container that a root is prepared in."""
    try:
        testhost.up(BUILDER, root=root)
        yield
    finally:
        testhost.down(BUILDER)


def inside(script: str) -> None:
    """Run a script as root in the container."""
    converging.inside(BUILDER, script)


def converge(variables: Mapping[str, object]) -> None:
    """Run the project's playbook on the container, as an operator would; then put the service to rest."""
    converging.converge(BUILDER, HOST_NAME, variables, ["stemedb"])
    inside("systemctl stop stemedb-archive.service stemedb-api.socket stemedb-api.service")


def write(root: Path, folder: Path) -> None:
    """Write the disks of a baked root, its kernel beside them. What lay below /data was the container's."""
    for name, content in FILES.items():
        (root / name).unlink(missing_ok=True)
        (root / name).write_text(content)
    subprocess.run(["chroot", root, "sh", "-c", FINISH_SCRIPT], check=True)
    image = Image.of(folder)
    shutil.move(next((root / "boot").glob("vmlinuz-*")), image.kernel)
    shutil.move(next((root / "boot").glob("initrd.img-*")), image.initrd)
    data = root / "data"
    data.mkdir(exist_ok=True)
    for path in data.iterdir():  # the folders themselves stay, with owner and mode
        subprocess.run(["find", path, "-mindepth", "1", "-delete"], check=True)
    make_disk(image.data, data, DATA_MB)
    used = subprocess.run(["du", "-sm", root], check=True, capture_output=True, text=True).stdout
    make_disk(image.root, root, int(used.split()[0]) + ROOT_FREE_MB)


def make_disk(path: Path, content: Path, size_mb: int) -> None:
    """Write an ext4 file system that holds a copy of `content`."""
    path.touch()  # else it says that it makes it
    subprocess.run(["mkfs.ext4", "-q", "-d", content, path, f"{size_mb}M"], check=True)


def forget_old(kind: str) -> None:
    """Keep the last few images: each change of the sources makes one."""
    images = sorted(CACHE.glob(f"{kind}-*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in images[IMAGES_MAX:]:
        shutil.rmtree(path, ignore_errors=True)


def say(line: str) -> None:
    """Tell whoever waits what takes so long."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def locked() -> Iterator[None]:
    """One maker at a time."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
