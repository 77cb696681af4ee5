"""The archive's life as a service: look, copy, tell how far it is; whatever goes wrong, begin again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from stemedb.backup.archive import Archiver
from stemedb.backup.layout import STATE_NAME, ArchiveState, read_state
from stemedb.errors import Corrupt, Locked, StemedbError
from stemedb.limits import ARCHIVE_LOCK_WAIT_S, ARCHIVE_LOOK_S, ARCHIVE_RETRY_S
from stemedb.log.synced import read_synced

_US_PER_S = 1_000_000


class Report(NamedTuple):
    """How an archive stands: last record, bytes it lacks, how long it has lacked any, what is wrong ("").

    `caught_up_at` is when it was last seen to lack nothing (Unix seconds; 0 never).
    """

    seq: int
    behind_bytes: int
    lag_s: float
    caught_up_at: float
    trouble: str


class _Known(NamedTuple):
    seq: int = 0
    end: int = 0
    caught_up_at: float = 0.0


def follow(
    open_archive: Callable[[], Archiver],
    source: Path,
    target: Path,
    report: Callable[[Report], None],
    stop: threading.Event,
) -> None:
    """Keep the archive in `target` of the log in `source` until `stop`, telling `report` after each look.

    A disk that is full, gone or read-only, a log that cannot be read now: told, and tried again.

    Raises:
        Corrupt: the archive is another log's, or of another history (`foreign_archive`).
        Locked: another process keeps this archive.
    """
    began, known = time.time(), _from_state(target)
    in_use_since = time.monotonic()
    archiver: Archiver | None = None
    while True:
        stopping = stop.is_set()
        trouble = ""
        try:
            archiver = archiver or open_archive()
            looked_at = time.time()
            archiver.step()
            known = _Known(archiver.seq, archiver.end, looked_at)
            in_use_since = time.monotonic()
        except (OSError, StemedbError) as error:
            if archiver is not None:
                known = _Known(archiver.seq, archiver.end, known.caught_up_at)
                archiver.close()
                archiver = None
            if not isinstance(error, Locked):
                in_use_since = time.monotonic()
            _give_up_on(error, time.monotonic() - in_use_since)
            trouble = error.detail if isinstance(error, StemedbError) else str(error)
        lag_s = time.time() - (known.caught_up_at or began) if trouble else 0.0
        behind_bytes = _behind(source, known.end) if trouble else 0
        report(Report(known.seq, behind_bytes, lag_s, known.caught_up_at, trouble))
        if stopping:
            break
        stop.wait(ARCHIVE_RETRY_S if trouble else ARCHIVE_LOOK_S)
    if archiver is not None:
        archiver.close()


def _give_up_on(error: Exception, in_use_s: float) -> None:
    """Raise an error that trying again does not mend."""
    if isinstance(error, Locked) and in_use_s < ARCHIVE_LOCK_WAIT_S:
        return  # by a backup that found no archive running, perhaps, and did its work
    if isinstance(error, Locked) or (isinstance(error, Corrupt) and error.reason == "foreign_archive"):
        raise error


def _from_state(target: Path) -> _Known:
    with suppress(OSError, StemedbError):
        state = read_state(target / STATE_NAME, ArchiveState)
        if state is not None:
            return _Known(state.head.seq, state.base + state.offset, state.caught_up_at / _US_PER_S)
    return _Known()


def _behind(source: Path, end: int) -> int:
    with suppress(OSError):
        synced = read_synced(source)
        return max(0, synced.end - end) if synced else 0
    return 0
