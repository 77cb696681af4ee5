"""Erasures reach the copies: bodies in the archive are overwritten, views of snapshots removed.

A snapshot's view is only there to make a restore faster: without it the view is folded from the log, in
which the erased bodies are no more. So it is not rewritten but removed, and nothing has to be signed anew.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from stemedb.backup.layout import SNAPSHOT_NAME, snapshot_folders
from stemedb.log import FolderLock, Record
from stemedb.log.erasing import erase_bodies, mend
from stemedb.log.files import sync_folder
from stemedb.log.folder import open_segments, read_meta
from stemedb.log.segments import Segments
from stemedb.model.records import ErasureRecord, RecordType, decode_body

VIEW_NAME = "view"


class Erasing(NamedTuple):
    """A record that says what is erased: its own seq, and those of the records whose bodies must go."""

    seq: int
    seqs: tuple[int, ...]


def erased_by(record_type: int, body: bytes) -> Sequence[int]:
    """Return the seqs that a record says are erased (`stemedb.log.Erases`)."""
    content = decode_body(record_type, body) if record_type == RecordType.ERASURE and body else None
    return content.seqs if isinstance(content, ErasureRecord) else ()


def erasings(records: Iterable[Record]) -> list[Erasing]:
    """Return what these records erase."""
    found = (Erasing(record.seq, tuple(erased_by(record.type, record.body))) for record in records)
    return [each for each in found if each.seqs]


def archived_segments(wal: Path) -> Segments:
    """Open an archive's segments; a frame that was half overwritten is finished when it is met."""
    segments = open_segments(wal, read_meta(wal))
    segments.mend = lambda at, stop: mend(segments, at, stop, erased_by)
    return segments


def erasings_between(wal: Path, after_seq: int, upto_seq: int) -> list[Erasing]:
    """Look through records of an archive that were copied before; mends what was half overwritten."""
    segments = archived_segments(wal)
    pages = segments.frames(after_seq + 1, upto_seq, upto_seq)
    return [each for frames in pages for each in erasings(frame.record for frame in frames)]


def redact_archive(wal: Path, wanted: Sequence[Erasing]) -> None:
    """Overwrite in an archive what these erase; synced when it returns, and harmless to repeat.

    Raises:
        Corrupt: the archive is not what was written.
        OSError: it cannot be written.
    """
    seqs = [seq for each in wanted for seq in each.seqs]
    segments = archived_segments(wal)
    with segments.changing:
        erase_bodies(segments, seqs, lambda _point: None)


def drop_views(backup_dir: Path, wanted: Sequence[Erasing]) -> None:
    """Remove the view of every snapshot that holds what these erase.

    Raises:
        Locked: a snapshot is just being made or removed; nothing was done.
        OSError: the folder cannot be written.
    """
    with closing(FolderLock(backup_dir)):
        for folder in snapshot_folders(backup_dir):
            if any(holds_erased(seq_of(folder), each) for each in wanted):
                remove_view(folder)


def holds_erased(snapshot_seq: int, erasing: Erasing) -> bool:
    """Say whether a view of up to `snapshot_seq` holds what was erased later."""
    return min(erasing.seqs) <= snapshot_seq < erasing.seq


def seq_of(snapshot: Path) -> int:
    """Return the last record that a snapshot holds, as its name says (its manifest must say the same)."""
    if not SNAPSHOT_NAME.fullmatch(snapshot.name):
        return 0
    return int(snapshot.name.partition("-")[2])


def remove_view(snapshot: Path) -> None:
    """Remove a snapshot's view, durably."""
    if (snapshot / VIEW_NAME).exists():
        shutil.rmtree(snapshot / VIEW_NAME)
        sync_folder(snapshot)
