"""Opening a log's folder: make a new log, or recover the one that is there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from stemedb.errors import Invalid, StorageFailed
from stemedb.limits import LOG_SEGMENT_BYTES_DEFAULT
from stemedb.log.erasing import Erases, mend
from stemedb.log.files import Faults, make_zeroed, sync_folder, write_all, write_file
from stemedb.log.folder import (
    META_NAME,
    TEMPORARY_SUFFIX,
    Meta,
    any_content,
    open_segments,
    read_meta,
    segment_name,
    segment_paths,
)
from stemedb.log.frames import (
    FORMAT_VERSION,
    HEADER_BYTES,
    BadHeader,
    Header,
    chain_start,
    decode_header,
    encode_header,
)
from stemedb.log.genesis import genesis_frame, new_log_id
from stemedb.log.local import LocalLog, OnBatch, Options
from stemedb.log.lock import FolderLock
from stemedb.log.memory import wall_clock
from stemedb.log.protocol import Clock
from stemedb.log.recovery import Progress, Recovery, raise_behind, settle, survey
from stemedb.log.segments import Segments

FIRST_NAME: Final = f"first{TEMPORARY_SUFFIX}"
_SEGMENT_BYTES_LEAST: Final = 2 * HEADER_BYTES
_KEY_BYTES: Final = 32


def _erases_nothing(_type: int, _body: bytes) -> Sequence[int]:
    return ()


def open_log(  # noqa: PLR0913 - the one place where a log is configured; each is explained below
    folder: Path,
    *,
    server_key: bytes,
    segment_bytes: int = LOG_SEGMENT_BYTES_DEFAULT,
    known_seq: int = 0,
    clock: Clock = wall_clock,
    lock: FolderLock | None = None,
    progress: Progress | None = None,
    on_batch: OnBatch | None = None,
    erases: Erases = _erases_nothing,
    faults: Faults | None = None,
) -> LocalLog:
    """Open the log in `folder` for appending; a folder without one gets a new log with its genesis.

    Args:
        folder: where the files are; made if missing.
        server_key: the server's Ed25519 public key (32 bytes), for the genesis of a new log.
        segment_bytes: size of the segments made from now on; a larger batch gets a larger one.
        known_seq: the highest seq a view, snapshot or archive holds; all up to it was synced.
        clock: microseconds since 1970.
        lock: the folder's lock if the caller took it already; the log lets it go when closed.
        progress: told the bytes checked and the bytes there are, while the last segment is read.
        on_batch: told after each batch what its sync took, its records and bytes.
        erases: tells what a record says is erased, so that an erasure cut short is finished, not damage.
        faults: tests' hook into the steps of the write path.

    Raises:
        Locked: another process has the folder.
        Corrupt: a part of the log is damaged, missing, foreign or from a later version; `code` says which.
        StorageFailed: the folder or its files cannot be read or written.
    """
    if len(server_key) != _KEY_BYTES or segment_bytes < _SEGMENT_BYTES_LEAST:
        raise Invalid(f"a log needs a key of {_KEY_BYTES} bytes, and segments of {_SEGMENT_BYTES_LEAST}")
    held = lock
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = held or FolderLock(folder)
        _create_if_new(folder, segment_bytes, server_key, clock, faults, known_seq)
        segments = open_segments(folder, read_meta(folder))
        segments.mend = lambda at, stop: mend(segments, at, stop, erases)
        tail = survey(segments, known_seq, progress)
        removed = _remove_leftovers(segments)
        settle(segments, tail)
        sync_folder(folder)
        _trim_sealed(segments)
        recovery = Recovery(
            checked_records=tail.head.seq - segments.items[-1].header.first_seq + 1,
            end_offset=tail.offset,
            cut_bytes=tail.torn_bytes,
            cut_frames=tail.torn_frames,
            cut_at_seq=tail.head.seq + 1 if tail.torn_bytes else 0,
            why=tail.why,
            removed=removed,
        )
        return LocalLog(segments, tail, recovery, held, Options(segment_bytes, clock, faults, on_batch))
    except BaseException as error:
        if held is not None and lock is None:
            held.close()
        if isinstance(error, OSError):
            raise StorageFailed(f"the log in {folder} cannot be opened: {error}") from error
        raise


def _create_if_new(
    folder: Path, segment_bytes: int, server_key: bytes, clock: Clock, faults: Faults | None, known_seq: int
) -> None:
    """Make a new log where there is none, or finish making one.

    The first segment is whole, genesis included, before log.json says that there is a log; it gets its name
    last. So log.json without a first segment means a loss, unless that finished file still waits beside it.
    """
    if segment_paths(folder):
        return
    meta = read_meta(folder)
    first = folder / FIRST_NAME
    if meta is None:
        if known_seq:
            raise_behind(folder, 0, known_seq)
        log_id = new_log_id()
        now = clock()
        frame, _ = genesis_frame(log_id, now, server_key)
        data = encode_header(Header(log_id, 1, 0, chain_start(log_id), 0)) + frame
        fd = make_zeroed(first, max(segment_bytes, len(data)))
        try:
            write_all(fd, data, 0)
            os.fsync(fd)
        finally:
            os.close(fd)
        sync_folder(folder)
        if faults is not None:
            faults.at("create_segment")
        write_file(folder / META_NAME, msgspec.json.encode(Meta(log_id.hex(), FORMAT_VERSION)) + b"\n")
        if faults is not None:
            faults.at("create_meta")
    elif not _is_first(first, meta):
        return
    first.rename(folder / segment_name(0))
    sync_folder(folder)


def _is_first(path: Path, meta: Meta) -> bool:
    """Say whether this is the finished first segment of the log, not yet named."""
    try:
        with path.open("rb") as file:
            header = decode_header(file.read(HEADER_BYTES))
    except (FileNotFoundError, BadHeader):
        return False
    return header.log_id.hex() == meta.log_id and header.offset == 0


def _remove_leftovers(segments: Segments) -> tuple[str, ...]:
    """Remove what an interrupted rotation or creation left, none of which was ever part of the log."""
    leftovers = [path for path in segments.folder.iterdir() if path.suffix == TEMPORARY_SUFFIX]
    if segments.interrupted is not None:
        leftovers.append(segments.interrupted)
    for path in leftovers:
        path.unlink()
    return tuple(sorted(path.name for path in leftovers))


def _trim_sealed(segments: Segments) -> None:
    """Cut sealed segments to what they use, where a stop came before that was done."""
    for at, segment in enumerate(segments.items):
        used = segments.used_bytes(at)
        if used is None or segment.path.stat().st_size <= used:
            continue
        with segment.path.open("rb+") as file:
            file.seek(used)
            # Anything but zeros does not belong there: left for `stemedb log verify` to be looked at.
            if not any_content(file):
                file.truncate(used)
