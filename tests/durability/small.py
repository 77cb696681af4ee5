"""Engines with small segments, so that a few hundred claims rotate several times."""

from __future__ import annotations

from pathlib import Path

from stemedb.engine import EngineSettings

SEGMENT_BYTES = 32 * 1024


def small_settings(folder: Path) -> EngineSettings:
    """Return settings for a data folder of its own."""
    return EngineSettings(folder / "wal", folder / "db", folder / "keys", SEGMENT_BYTES, disk_floor_mb=1)
