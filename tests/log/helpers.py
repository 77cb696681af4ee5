"""What the log's tests share: small logs with bodies that can be told from their seq."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from stemedb.log import Draft, open_log

if TYPE_CHECKING:
    from stemedb.log import LocalLog, Log
    from stemedb.log.files import Faults

SERVER_KEY = bytes(range(32))
SMALL_SEGMENT_BYTES = 16 * 1024


def body_of(seq: int) -> bytes:
    """Give a body that only this seq has, of varying length and not a multiple of eight."""
    return (b"body of %d;" % seq) * (1 + seq % 23)


def drafts(first_seq: int, count: int) -> list[Draft]:
    """Give a batch that is to land at `first_seq`."""
    return [Draft(2 + (seq % 5), body_of(seq)) for seq in range(first_seq, first_seq + count)]


def fill(log: Log, batches: int, size: int = 3) -> None:
    """Append some batches."""
    for _ in range(batches):
        log.append(drafts(log.head().seq + 1, size))


def open_small(folder: Path, *, known_seq: int = 0, faults: Faults | None = None) -> LocalLog:
    """Open a log whose segments hold about forty records."""
    return open_log(
        folder,
        server_key=SERVER_KEY,
        segment_bytes=SMALL_SEGMENT_BYTES,
        known_seq=known_seq,
        faults=faults,
    )


def make_log(folder: Path, batches: int, size: int = 3) -> Path:
    """Make a log at rest."""
    with closing(open_small(folder)) as log:
        fill(log, batches, size)
    return folder


def copy_of(folder: Path, to: Path) -> Path:
    """Copy a log at rest."""
    shutil.copytree(folder, to)
    return to


def segment_files(folder: Path) -> list[Path]:
    """List the segments in order."""
    return sorted(folder.glob("*.wal"))


def check_all(log: Log, at_least: int) -> None:
    """Check that every record up to the head is what was appended, and that `at_least` is among them."""
    head = log.head()
    assert head.seq >= at_least
    seq = 1
    time = 0
    while records := log.read(seq, 1000):
        for record in records:
            assert record.seq == seq
            assert record.recorded_at > time
            if seq > 1:
                assert record.body == body_of(seq)
            seq, time = seq + 1, record.recorded_at
    assert seq == head.seq + 1


def flip(path: Path, offset: int, mask: int = 0x10) -> None:
    """Flip a bit in a file."""
    with path.open("rb+") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ mask]))
