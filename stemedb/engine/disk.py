"""The disk floor: writes stop while there is still some room, reads go on, and it heals by itself."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from stemedb import limits
from stemedb.errors import Unavailable


class Space(NamedTuple):
    """What a file system has, and has free for the service."""

    free_bytes: int
    size_bytes: int
    free_inodes: int
    inodes: int


def space_of(folder: Path) -> Space:
    """Return the space of a folder's file system; raises `OSError`."""
    found = os.statvfs(folder)
    # The size leaves out what is kept for root, as `df` does: used and free make up 100 %.
    size_blocks = found.f_blocks - (found.f_bfree - found.f_bavail)
    return Space(found.f_bavail * found.f_frsize, size_blocks * found.f_frsize, found.f_favail, found.f_files)


class DiskFloor:
    """Looks at the free space of some folders every second."""

    def __init__(self, folders: Sequence[Path], floor_mb: int) -> None:
        """Look once, then keep looking in a thread; `floor_mb` in MiB, 0 switches it off."""
        self.folders = tuple(folders)
        self.floor_bytes = floor_mb * limits.MIB
        self._stop = threading.Event()
        self.shortage = self._look()
        self._thread = threading.Thread(target=self._run, name="stemedb-disk", daemon=True)
        self._thread.start()

    def require(self) -> None:
        """Raise `Unavailable` while a disk is below the floor."""
        if self.shortage:
            raise Unavailable(
                self.shortage,
                code="disk_floor",
                hint="Free space on that disk; writes resume by themselves.",
                retry_after_s=5,
            )

    def close(self) -> None:
        """Stop looking."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(limits.DISK_LOOK_S):
            self.shortage = self._look()

    def _look(self) -> str | None:
        for folder in self.folders:
            try:
                usage = os.statvfs(folder)
            except OSError as error:
                return f"{folder} cannot be looked at: {error.strerror}"
            if usage.f_flag & os.ST_RDONLY:
                return f"{folder} is on a read-only file system"
            free_bytes = usage.f_bavail * usage.f_frsize
            if free_bytes < self.floor_bytes:
                free_mb, floor_mb = free_bytes // limits.MIB, self.floor_bytes // limits.MIB
                return f"{folder} has {free_mb} MiB free, the floor is {floor_mb} MiB"
        return None
