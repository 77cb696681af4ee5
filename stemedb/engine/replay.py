"""Bringing the view up to the log at start, and refusing a view that is not of this log."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import suppress

from stemedb import limits
from stemedb.errors import Corrupt
from stemedb.log import Log
from stemedb.store import View
from stemedb.store.table import REBUILD

Progress = Callable[[str], None]
"""Told in a few words how far a long step is."""

LOST_LOG = (
    "put the missing log files back, or restore from a backup",
    "if the log is the right one and the view is not: " + REBUILD,
)


def catch_up(log: Log, view: View, progress: Progress) -> int:
    """Fold what the view has not seen yet; return how many records that was.

    Raises:
        Corrupt: the view belongs to another log, is ahead of this one, or saw another history.
    """
    require_same_history(log, view)
    start = view.applied_seq
    if not start and log.head().seq >= limits.REBUILD_RECORDS_MIN:
        view.rebuild(lambda fresh: _follow(log, fresh, progress))
        _give_back_memory()
    else:
        _follow(log, view, progress)
    return view.applied_seq - start


def _follow(log: Log, view: View, progress: Progress) -> None:
    behind, head_seq = view.applied_seq, log.head().seq
    while behind < head_seq:
        records = log.read(behind + 1, limits.FOLD_RECORDS_MAX)
        view.fold(log.log_id, records)
        behind = records[-1].seq
        progress(f"replaying the log: {behind} of {head_seq} records")


def _give_back_memory() -> None:
    """Let the system have what a rebuild used: the C library keeps it, most of a hundred megabytes."""
    with suppress(OSError, AttributeError):  # glibc alone can be asked
        ctypes.CDLL(None).malloc_trim(0)


def require_same_history(log: Log, view: View) -> None:
    """Raise `Corrupt` unless the view is a fold of a prefix of this log."""
    state = view.state
    if state is None:
        return
    if state.log_id != log.log_id:
        detail = f"the view was folded from log {state.log_id.hex()}, but the log here is {log.log_id.hex()}"
        raise Corrupt(detail, code="foreign_view", ways_out=LOST_LOG)
    head = log.head()
    if state.applied_seq > head.seq:
        detail = (
            f"the view holds seq {state.applied_seq}, but the log ends at seq {head.seq}: records were lost"
        )
        raise Corrupt(detail, code="view_ahead", ways_out=LOST_LOG)
    (last,) = log.read(state.applied_seq, 1)
    if last.recorded_at != state.recorded_at:
        detail = f"the view saw another record at seq {state.applied_seq} than the log holds"
        raise Corrupt(detail, code="foreign_view", ways_out=LOST_LOG)
