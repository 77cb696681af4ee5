"""One server a folder: a lock that the kernel drops with the process that held it.

It is `flock` on an open file, so nothing is left to clean after a crash. The process id in the file is for
people only: it never decides anything, so that its reuse by another process is harmless.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

from stemedb.errors import Locked

LOCK_NAME: Final = "lock"
_PID_BYTES_MAX: Final = 32


class FolderLock:
    """Holds a folder until `close` or the end of the process.

    Exclusive for whoever writes; `shared=True` for a reader that wants no writer beside it. Tools that can
    read beside a running server take none.

    Raises:
        Locked: another process, or another lock in this one, holds it.
    """

    def __init__(self, folder: Path, *, shared: bool = False) -> None:
        """Take the lock, or refuse at once."""
        self._shared = shared
        self._fd = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(self._fd)
            os.close(self._fd)
            raise Locked(f"{folder} is in use by {holder}") from None
        if not shared:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, b"%d\n" % os.getpid(), 0)

    def close(self) -> None:
        """Let the folder go; a second call does nothing."""
        if self._fd < 0:
            return
        if not self._shared:
            os.ftruncate(self._fd, 0)
        os.close(self._fd)
        self._fd = -1


def _holder(fd: int) -> str:
    """Name the process that wrote itself into the lock, if it still lives."""
    text = os.pread(fd, _PID_BYTES_MAX, 0).strip()
    if not text.isdigit():
        return "another process"
    try:
        os.kill(int(text), 0)
    except ProcessLookupError:
        return "another process"
    except PermissionError:
        pass  # alive, and somebody else's
    return f"process {int(text)}"
