"""The next segment, made ready while the current one fills, so that rotation costs one small sync.

Sealed segments are cut to the bytes they use, in the background: the next segment's offset says where they
end, so nothing depends on the cut, and a copy of a sealed file is just its records.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Final

from stemedb.log.files import make_zeroed
from stemedb.log.folder import TEMPORARY_SUFFIX

NEXT_NAME: Final = f"next{TEMPORARY_SUFFIX}"


class NextSegment:
    """Keeps one zeroed file ready. Used by the appending thread only."""

    def __init__(self, folder: Path, size: int, reached: Callable[[str], None]) -> None:
        """`size` is that of a segment in bytes; `reached` is told of each step."""
        self.path = folder / NEXT_NAME
        self._size = size
        self._reached = reached
        self._thread: Thread | None = None
        self._fd = -1

    def prepare(self) -> None:
        """Start making it, unless it is made or being made."""
        if self._thread is None and self._fd < 0:
            self._start(self._make)

    def take(self, size: int) -> tuple[int, int]:
        """Give the file, open, and its size, at least `size`; makes it here and now if it is not ready.

        It stays this object's until `given`, so that a rotation that finds no room can be tried again.

        Raises:
            OSError: no room for it.
        """
        self.join()
        if self._fd >= 0 and os.fstat(self._fd).st_size < size:
            os.close(self._fd)
            self._fd = -1
        if self._fd < 0:
            self._reached("rotate_prepare")
            self._fd = make_zeroed(self.path, max(self._size, size))
        return self._fd, os.fstat(self._fd).st_size

    def given(self) -> None:
        """Let go of the file: it has a name of its own now."""
        self._fd = -1

    def seal(self, path: Path, used_bytes: int) -> None:
        """Cut a sealed segment to what it uses."""
        self.join()
        self._start(lambda: self._cut(path, used_bytes))

    def join(self) -> None:
        """Wait for what runs in the background."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def close(self) -> None:
        """Finish, and remove a file that was not used."""
        self.join()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self.path.unlink(missing_ok=True)

    def _start(self, work: Callable[[], None]) -> None:
        self._thread = Thread(target=work, name="log-segments", daemon=True)
        self._thread.start()

    def _make(self) -> None:
        try:
            self._reached("rotate_prepare")
            self._fd = make_zeroed(self.path, self._size)
        except OSError:
            self._fd = -1  # no room now; the rotation tries again and tells the writer

    def _cut(self, path: Path, used_bytes: int) -> None:
        try:
            self._reached("seal")
            os.truncate(path, used_bytes)
        except OSError:
            return  # only disk space: the next start cuts what is left uncut
