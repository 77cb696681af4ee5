"""Writing an archive's segments: chunks to where they stood, synced when asked."""

from __future__ import annotations

import os
from pathlib import Path

from stemedb.backup.reading import Chunk
from stemedb.log.files import FILE_MODE, Faults, sync_folder, write_all
from stemedb.log.folder import segment_name


class ArchiveWriter:
    """Writes chunks to where they stood, and syncs what it wrote."""

    def __init__(self, folder: Path, faults: Faults | None) -> None:
        self._folder = folder
        self._faults = faults
        self._fd = -1
        self._base = -1
        self._new = False
        self.written = False

    def write(self, chunk: Chunk) -> None:
        """Write a chunk; raises `OSError`."""
        if chunk.base != self._base:
            self._open(chunk.base)
        # Two pieces only for a test that wants to die between them.
        half = len(chunk.raw) // 2 if self._faults is not None else len(chunk.raw)
        write_all(self._fd, chunk.raw[:half], chunk.offset)
        if self._faults is not None:
            self._faults.at("archive_write")
            write_all(self._fd, chunk.raw[half:], chunk.offset + half)
        self.written = True

    def sync(self) -> None:
        """Make what was written durable, names of new files too; raises `OSError`."""
        if self._faults is not None:
            self._faults.at("archive_sync")
        os.fsync(self._fd)
        if self._new:
            sync_folder(self._folder)
            self._new = False

    def close(self) -> None:
        """Let the file go."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self, base: int) -> None:
        self.close()
        path = self._folder / segment_name(base)
        self._new = self._new or not path.exists()
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        self._base = base
