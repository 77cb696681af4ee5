"""Cutting a damaged log off before its damage, after saving what is cut. An operator's last resort."""

from __future__ import annotations

import os
import shutil
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from stemedb.errors import Conflict, Corrupt, Invalid, NotFound
from stemedb.log.files import read_used, sync_folder, write_all
from stemedb.log.folder import META_NAME, read_meta, segment_name, segment_paths
from stemedb.log.frames import HEADER_BYTES, BadHeader, decode_header
from stemedb.log.lock import FolderLock
from stemedb.log.segments import RESTORE, Segment, Walk
from stemedb.log.synced import NAME as SYNCED_NAME


class Repair(NamedTuple):
    """What a repair did: the log's last record now, the bytes cut, the copies of every file it changed."""

    last_seq: int
    cut_bytes: int
    saved: tuple[Path, ...]


def repair(folder: Path, truncate_at: int, backup_dir: Path) -> Repair:
    """Cut the log so that record `truncate_at` - 1 is its last; every file changed is copied before.

    Can be run again after it was interrupted, with another `backup_dir`.

    Raises:
        Invalid: `truncate_at` would cut the genesis, or `backup_dir` is the log's own folder.
        NotFound: there is no log in the folder.
        Locked: a server is running on the folder.
        Conflict: there is nothing to cut there, or a copy would overwrite a file.
        Corrupt: a record before `truncate_at` is damaged too.
    """
    if truncate_at <= 1:
        raise Invalid("record 1 makes it a log and cannot be cut; restore a backup instead")
    if backup_dir.resolve() == folder.resolve():
        raise Invalid("copies cannot be kept in the log's own folder, where they would count as its segments")
    if not (folder / META_NAME).is_file():
        raise NotFound(f"{folder} holds no log (no {META_NAME})")
    with closing(FolderLock(folder)):
        kept = _last_kept(folder, truncate_at)
        offset = _offset_of(kept, truncate_at)
        later = [path for path in segment_paths(folder) if path.name > kept.path.name]
        with kept.path.open("rb") as file:
            tail_bytes = len(read_used(file, offset)[0])
        if not tail_bytes and not later:
            raise Conflict(f"the log ends before record {truncate_at}: nothing to cut")
        saved = _save([kept.path, *later], backup_dir)
        cut_bytes = tail_bytes + sum(path.stat().st_size for path in later)
        (folder / SYNCED_NAME).unlink(missing_ok=True)  # it speaks of what is cut now
        # From the end, so that a repair cut short leaves a log that only ends later.
        for path in reversed(later):
            path.unlink()
            sync_folder(folder)
        _zero(kept.path, offset, tail_bytes)
    return Repair(truncate_at - 1, cut_bytes, saved)


def _last_kept(folder: Path, truncate_at: int) -> Segment:
    """Find the segment that will be the log's last: the one that holds, or would hold, `truncate_at`."""
    meta = read_meta(folder)
    kept: Segment | None = None
    for path in segment_paths(folder):
        try:
            with path.open("rb") as file:
                header = decode_header(file.read(HEADER_BYTES))
        except BadHeader:
            break
        if meta is None or header.log_id.hex() != meta.log_id or path.name != segment_name(header.offset):
            break
        if header.first_seq > truncate_at or (kept is None and header.offset):
            break
        if kept is not None and header.offset > kept.header.offset + kept.path.stat().st_size:
            break
        kept = Segment(path, header)
    if kept is None:
        raise Corrupt(f"{folder}: no segment to keep before record {truncate_at}", ways_out=(RESTORE,))
    return kept


def _offset_of(segment: Segment, seq: int) -> int:
    """Walk to where record `seq` begins, all before it being whole."""
    walk = Walk(segment, segment.header.first_seq, HEADER_BYTES, last_seq=seq - 1)
    for _ in walk:
        pass
    if walk.stop.why:
        raise Corrupt(
            f"{segment.path}, byte {walk.stop.offset}: record {walk.stop.seq} is not whole either",
            code="log_damaged",
            ways_out=(RESTORE, f"`stemedb log repair --truncate-at {walk.stop.seq}`"),
        )
    return walk.stop.offset


def _save(paths: list[Path], backup_dir: Path) -> tuple[Path, ...]:
    """Copy files, durably, refusing to overwrite any."""
    backup_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    copies = tuple(backup_dir / path.name for path in paths)
    for copy in copies:
        if copy.exists():
            raise Conflict(f"{copy} is there already", hint="Name another folder for the copies.")
    for path, copy in zip(paths, copies, strict=True):
        shutil.copy2(path, copy)
        fd = os.open(copy, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    sync_folder(backup_dir)
    return copies


def _zero(path: Path, offset: int, size: int) -> None:
    """Overwrite the rest of a segment with zeros."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        write_all(fd, bytes(size), offset)
        os.fdatasync(fd)
    finally:
        os.close(fd)
