"""The next segment, made ready while the current one fills, so that rotation costs one small sync.

Sealed segments are cut to the bytes they use, in the background and before the next one is made: the next
segment's offset says where they end, so nothing depends on the cut.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
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
        self._tried = False
        self._sealed: list[tuple[Path, int]] = []

    def prepare(self) -> None:
        """Start making it in the background; does nothing if that was started since the last rotation."""
        if not self._tried:
            # Tried once: on a full disk every append would otherwise write zeros until it fails again.
            self._tried = True
            self._thread = Thread(target=self._work, name="log-segments", daemon=True)
            self._thread.start()

    def take(self, size: int) -> tuple[int, int]:
        """Give the file, open, and its size, at least `size`; makes it here and now if it is not ready.

        It stays this object's until `given`, so that a rotation that finds no room can be tried again.

        Raises:
            OSError: no room for it.
        """
        self._join()
        if self._fd >= 0 and os.fstat(self._fd).st_size < size:
            os.close(self._fd)
            self._fd = -1
        if self._fd < 0:
            self._reached("rotate_prepare")
            self._fd = make_zeroed(self.path, max(self._size, size))
        return self._fd, os.fstat(self._fd).st_size

    def given(self, sealed: Path, used_bytes: int) -> None:
        """Let go of the file, which has a name of its own now; the one before it is to be cut some time."""
        self._fd = -1
        self._tried = False
        self._sealed.append((sealed, used_bytes))

    def close(self) -> None:
        """Finish, and remove a file that was not used."""
        self._join()
        self._cut_sealed()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self.path.unlink(missing_ok=True)

    def _join(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        self._cut_sealed()
        try:
            self._reached("rotate_prepare")
            self._fd = make_zeroed(self.path, self._size)
        except OSError:
            self._fd = -1  # no room now; the rotation tries again and tells the writer

    def _cut_sealed(self) -> None:
        while self._sealed:
            path, used_bytes = self._sealed.pop()
            # Only disk space: what is left uncut is cut by the next start.
            with suppress(OSError):
                self._reached("seal")
                os.truncate(path, used_bytes)
