"""What the engine shows as metrics: looked up when they are asked for, so that they cost a write nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stemedb import limits
from stemedb.engine.disk import DiskFloor, Space, space_of

if TYPE_CHECKING:
    from stemedb.engine.engine import Engine
    from stemedb.telemetry import Telemetry

_NO_SPACE: Final = Space(0, 0, 0, 0)


def show_engine(engine: Engine, disk: DiskFloor, telemetry: Telemetry) -> None:
    """Let the gauges of `telemetry` show how the engine is."""
    telemetry.queue_changes.set_function(lambda: engine.queued)
    telemetry.queue_changes_max.set(limits.QUEUE_CHANGES_MAX)
    telemetry.wal_seq.set_function(lambda: engine.log.head().seq)
    telemetry.view_seq.set_function(lambda: engine.view.applied_seq)
    telemetry.claims.set_function(lambda: engine.view.claims_count)
    telemetry.map_used.set_function(lambda: engine.view.map_usage().used_bytes)
    telemetry.map_size.set_function(lambda: engine.view.map_usage().size_bytes)
    telemetry.escalations.set_function(engine.view.escalations_count)
    telemetry.quarantine_pending.set_function(engine.view.waiting_count)
    telemetry.clock_behind.set_function(lambda: clock_behind_s(engine.log.head().time, time.time()))
    for check in engine.checks():
        telemetry.check_ok.labels(check).set_function(partial(_is_well, engine, check))
    telemetry.disk_floor.set(disk.floor_bytes)
    for name, folder in zip(("wal", "db"), disk.folders, strict=True):
        look = _Look(folder)
        telemetry.disk_free.labels(name).set_function(look.at(lambda space: space.free_bytes))
        telemetry.disk_size.labels(name).set_function(look.at(lambda space: space.size_bytes))
        telemetry.disk_inodes_free.labels(name).set_function(look.at(lambda space: space.free_inodes))
        telemetry.disk_inodes.labels(name).set_function(look.at(lambda space: space.inodes))


def _is_well(engine: Engine, check: str) -> float:
    return engine.checks()[check] == "ok"


def clock_behind_s(last_us: int, now_s: float) -> float:
    """Return how many seconds the clock is behind a log whose last record is of `last_us` (microseconds)."""
    return max(0.0, last_us / 1e6 - now_s)


class _Look:
    """One folder's space; nothing of everything where it cannot be looked at."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def at(self, part: Callable[[Space], int]) -> Callable[[], float]:
        return lambda: part(self._space())

    def _space(self) -> Space:
        try:
            return space_of(self._folder)
        except OSError:
            return _NO_SPACE
