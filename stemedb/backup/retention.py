"""Which snapshots to keep: the newest of each of the last days, weeks and months, and always the newest.

Only snapshots are ever removed. The log in the archive is whole or nothing: proofs and the view's rebuilding
need it from its first record, and it is what every kept point is restored from. A snapshot stands alone: none
needs another.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Final, NamedTuple

from stemedb.backup.create import DRAFT_PREFIX, holding
from stemedb.backup.layout import snapshot_folders
from stemedb.log.files import sync_folder

_TIME: Final = "%Y%m%dT%H%M%SZ"


class Rules(NamedTuple):
    """How many days, weeks (ISO) and months to keep the newest snapshot of; empty ones do not count."""

    daily: int
    weekly: int
    monthly: int


class Pruning(NamedTuple):
    """What is kept, with why (newest, daily, weekly, monthly), and what is removed; by name, oldest first."""

    kept: dict[str, list[str]]
    removed: list[str]


def made_at(name: str) -> datetime:
    """Return when a snapshot was made, by its name."""
    return datetime.strptime(name.partition("-")[0], _TIME).replace(tzinfo=timezone.utc)


_PERIODS: Final[dict[str, Callable[[datetime], tuple[int, ...]]]] = {
    "daily": lambda at: (at.year, at.month, at.day),
    "weekly": lambda at: at.isocalendar()[:2],
    "monthly": lambda at: (at.year, at.month),
}


def plan(names: Sequence[str], rules: Rules) -> Pruning:
    """Decide what to keep of these snapshots."""
    newest_first = sorted(names, reverse=True)
    kept: dict[str, list[str]] = {name: ["newest"] for name in newest_first[:1]}
    for (why, period), count in zip(_PERIODS.items(), rules, strict=True):
        newest: dict[tuple[int, ...], str] = {}
        for name in newest_first:
            newest.setdefault(period(made_at(name)), name)
        for key in sorted(newest, reverse=True)[:count]:
            kept.setdefault(newest[key], []).append(why)
    return Pruning(
        {name: kept[name] for name in sorted(kept)}, [name for name in sorted(names) if name not in kept]
    )


def prune(backup_dir: Path, rules: Rules, *, remove: bool) -> Pruning:
    """Decide what to keep in `backup_dir` and, if told to, remove the rest.

    Raises:
        Locked: a backup is being made.
        NotFound: there is no such folder.
        OSError: something could not be removed.
    """
    planned = plan([path.name for path in snapshot_folders(backup_dir)], rules)
    if remove:
        with holding(backup_dir):
            for name in planned.removed:
                # Under another name first: whatever stops this, no half of a snapshot is taken for one.
                gone = backup_dir / f"{DRAFT_PREFIX}{name}"
                (backup_dir / name).rename(gone)
                sync_folder(backup_dir)
                shutil.rmtree(gone)
    return planned
