"""Small real file systems: in memory, or ext4 in a file. Mounting needs root."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def run(*command: str | Path) -> None:
    """Run a system command that must work."""
    subprocess.run([str(part) for part in command], check=True, capture_output=True)


def need_root() -> None:
    """Leave a test out where nothing can be mounted."""
    if os.geteuid() != 0:
        pytest.skip("mounting a file system needs root")


@contextmanager
def memory_disk(folder: Path, size_mb: int) -> Iterator[Path]:
    """Give a folder on a file system of this size."""
    need_root()
    folder.mkdir()
    run("mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", folder)
    try:
        yield folder
    finally:
        run("umount", folder)


class LoopDisk:
    """An ext4 file system in a file, which can be stopped in the middle of its work."""

    def __init__(self, folder: Path, size_mb: int) -> None:
        """Make the file system and mount it."""
        need_root()
        self._image = folder.with_suffix(".img")
        self.folder = folder
        folder.mkdir()
        with self._image.open("wb") as image:
            image.truncate(size_mb * 1024 * 1024)
        run("mkfs.ext4", "-q", "-F", self._image)
        self.mount()

    def mount(self, *options: str) -> None:
        """Mount it, its journal being replayed."""
        run("mount", "-o", ",".join(("loop", *options)), self._image, self.folder)
        self._mounted = True

    def abort(self) -> None:
        """Let the kernel find the file system damaged: from now on nothing can be written."""
        run("mount", "-o", "remount,abort", self.folder)

    def unmount(self) -> None:
        """Unmount it; nothing may be open there any more."""
        if self._mounted:
            run("umount", self.folder)
            self._mounted = False

    def check(self) -> None:
        """Repair it, as a boot would."""
        done = subprocess.run(["fsck.ext4", "-p", "-f", str(self._image)], check=False, capture_output=True)
        assert done.returncode in (0, 1), done.stdout
