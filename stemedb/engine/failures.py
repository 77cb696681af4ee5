"""How often writes or syncs failed in a data folder, over restarts.

The service ends after one, long before anybody asks it for its metrics again: so the number is kept in a
file, one byte for each. Nothing depends on it, and nothing is synced: the disk may be the one that failed.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

NAME: Final = "failures"


class Failures:
    """The number of one data folder."""

    def __init__(self, folder: Path) -> None:
        """Keep it in `folder`; nothing is read or written yet."""
        self._path = folder / NAME

    @property
    def count(self) -> int:
        """How many were noted; 0 where that cannot be read."""
        with suppress(OSError):
            return self._path.stat().st_size
        return 0

    def note(self) -> None:
        """Note one more, if that is possible."""
        with suppress(OSError):
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                os.write(fd, b"x")
            finally:
                os.close(fd)
