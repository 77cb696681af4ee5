"""What of a log is on stable storage, told to other processes: a small file beside the segments.

The writer says it after every sync, without syncing that file: what stands there was true when it was
written, and a log that is only appended to never makes it untrue. After a power cut it may say less. Readers
of the segments see bytes that no sync has covered yet; whoever copies them needs to know where those begin.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from struct import Struct
from typing import Final, NamedTuple

from crc32c import crc32c

from stemedb.log.files import FILE_MODE
from stemedb.log.protocol import Head

NAME: Final = "synced"

_MAGIC: Final = b"STEMESYN"
_BODY: Final = Struct(">8s16sQ32sQQ")  # magic, log id, seq, chain, time, where the log ends
_CRC: Final = Struct(">I")
_TRIES: Final = 3  # the writer may be at it


class Synced(NamedTuple):
    """The last record that was synced, and the place in the whole log (bytes) where its frame ends."""

    log_id: bytes
    head: Head
    end: int


class SyncedFile:
    """The writer's side. A write that fails is left out: the file then says less than is true."""

    def __init__(self, folder: Path, log_id: bytes) -> None:
        """Open the file in `folder`, made if missing."""
        self._log_id = log_id
        self._fd = -1
        with suppress(OSError):
            self._fd = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)

    def publish(self, head: Head, end: int) -> None:
        """Say that all up to `head`, which ends at `end`, is synced."""
        body = _BODY.pack(_MAGIC, self._log_id, head.seq, head.chain, head.time, end)
        if self._fd >= 0:
            with suppress(OSError):
                os.pwrite(self._fd, body + _CRC.pack(crc32c(body)), 0)

    def close(self) -> None:
        """Let the file go; a second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def read_synced(folder: Path) -> Synced | None:
    """Return what the writer of the log in `folder` said last; None where nothing valid stands.

    Raises:
        OSError: the folder cannot be read.
    """
    for _ in range(_TRIES):
        try:
            data = (folder / NAME).read_bytes()
        except FileNotFoundError:
            folder.stat()  # a folder that is gone is another matter than one without the file
            return None
        body, crc = data[: _BODY.size], data[_BODY.size :]
        if len(crc) == _CRC.size and _CRC.unpack(crc)[0] == crc32c(body):
            magic, log_id, seq, chain, time, end = _BODY.unpack(body)
            return Synced(log_id, Head(seq, chain, time), end) if magic == _MAGIC else None
    return None
