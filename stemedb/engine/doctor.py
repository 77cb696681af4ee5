"""Examining a data folder and the machine below it: findings, each with what to do. Changes nothing.

May run beside a server, which it knows by the folder's lock.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from stemedb import limits
from stemedb.engine import probes
from stemedb.errors import Corrupt, Locked, NotFound, StemedbError
from stemedb.log import FolderLock
from stemedb.log.offline import FolderLog
from stemedb.store.inspect import ViewFacts, check_view, view_facts

OK: Final = "ok"
NOTE: Final = "note"
WARN: Final = "warn"
FAIL: Final = "fail"

_SYNC_P99_WARN_S: Final = 0.010  # the pilot's own bound
_SYNC_P99_FAIL_S: Final = 0.100
_DISK_USE_WARN: Final = 0.80
_MAP_USE_WARN: Final = 0.80
_LISTED: Final = 3


class Finding(NamedTuple):
    """One thing looked at: how it is, in words, and what to do about it ("" where nothing is to be done)."""

    check: str
    level: str
    detail: str
    todo: str = ""


class Data(NamedTuple):
    """What is examined: the folders, and the settings that say what is expected of them."""

    wal_dir: Path
    db_dir: Path
    key_dir: Path
    disk_floor_mb: int
    backup_dir: Path | None = None


def examine(data: Data, *, deep: bool) -> Iterator[Finding]:
    """Yield every finding; `deep` also checks every page of the view (seconds for a million claims)."""
    try:
        live = _in_use(data.wal_dir)
    except OSError as error:
        todo = "Name the folders with --wal-dir and --db-dir, run it as root or the service's user; "
        yield Finding("data", FAIL, f"{error}", todo + "a first start of the service makes missing folders.")
        return
    yield Finding(
        "data", OK, f"log {data.wal_dir}, view {data.db_dir}, server " + ("running" if live else "stopped")
    )
    for check in (_modes, _space, _devices, _sync, _clock):
        yield from _guarded(check.__name__[1:], lambda check=check: check(data))  # type: ignore[misc]
    yield from _guarded("log", lambda: _log(data))
    yield from _guarded("view", lambda: _view(data, live=live, deep=deep))


def worst(findings: list[Finding]) -> int:
    """Return the exit status that findings mean: 0 all well, 1 warnings, 2 something fails."""
    levels = {finding.level for finding in findings}
    return 2 if FAIL in levels else 1 if WARN in levels else 0


def _guarded(name: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield what a look finds; what stops it is a finding too."""
    try:
        yield from look()
    except Corrupt as error:
        yield Finding(name, FAIL, error.detail, "; or ".join(error.ways_out) or error.hint)
    except StemedbError as error:
        yield Finding(name, FAIL, error.detail, error.hint)
    except OSError as error:
        todo = "Run it as root or as the service's user, and look at the disk."
        yield Finding(name, FAIL, f"cannot be looked at: {error}", todo)


def _in_use(folder: Path) -> bool:
    try:
        FolderLock(folder, shared=True).close()
    except Locked:
        return True
    return False


def _modes(data: Data) -> Iterator[Finding]:
    folders = [
        folder for folder in dict.fromkeys((data.wal_dir, data.db_dir, data.key_dir)) if folder.is_dir()
    ]
    strange = [text for folder in folders for text in probes.strange_files(folder)]
    if strange:
        more = f" and {len(strange) - _LISTED} more" if len(strange) > _LISTED else ""
        todo = "Give the files to the service's user (chown -R) with mode 0600; find out who changed them."
        yield Finding("modes", WARN, "; ".join(dict.fromkeys(strange[:_LISTED])) + more, todo)
    else:
        yield Finding("modes", OK, "every file is its folder owner's, and closed to others")


def _space(data: Data) -> Iterator[Finding]:
    for folder in dict.fromkeys((data.wal_dir, data.db_dir)):
        found = os.statvfs(folder)
        free_mb = found.f_bavail * found.f_frsize // limits.MIB
        used = 1 - found.f_bavail / max(found.f_blocks, 1)
        detail = f"{folder}: {free_mb} MiB free, {used:.0%} used, floor {data.disk_floor_mb} MiB"
        todo = "Free space or enlarge the disk: below the floor writes are refused, reads go on."
        if found.f_flag & os.ST_RDONLY:
            todo = "Find out why (dmesg), mount it writable again; writes resume by themselves."
            yield Finding("space", FAIL, f"{folder} is on a read-only file system", todo)
        elif free_mb < data.disk_floor_mb:
            yield Finding("space", FAIL, detail, todo)
        elif used >= _DISK_USE_WARN or free_mb < 2 * data.disk_floor_mb:
            yield Finding("space", WARN, detail, todo)
        else:
            yield Finding("space", OK, detail)


def _devices(data: Data) -> Iterator[Finding]:
    if data.backup_dir is None or not data.backup_dir.is_dir():
        return
    if data.backup_dir.stat().st_dev == data.wal_dir.stat().st_dev:
        todo = "Put the backups on another disk, or copy them to another host: one disk lost takes both."
        yield Finding("backup", WARN, f"{data.backup_dir} is on the same device as the data", todo)
    else:
        yield Finding("backup", OK, f"{data.backup_dir} is on a device of its own")


def _sync(data: Data) -> Iterator[Finding]:
    taken = probes.sync_times(data.wal_dir)
    detail = (
        f"{limits.SYNC_PROBES} writes with fdatasync: p50 {taken.p50_s * 1000:.2f} ms, "
        f"p99 {taken.p99_s * 1000:.2f} ms, longest {taken.max_s * 1000:.2f} ms"
    )
    level = FAIL if taken.p99_s > _SYNC_P99_FAIL_S else WARN if taken.p99_s > _SYNC_P99_WARN_S else OK
    todo = "Every write waits for this: use a local SSD, and look for other users of the disk (iostat -x)."
    yield Finding("sync", level, detail, "" if level == OK else todo)


def _clock(data: Data) -> Iterator[Finding]:
    ahead_s = FolderLog(data.wal_dir).head.time / 1e6 - time.time()
    if ahead_s > limits.CLOCK_APART_S_MAX:
        todo = "Set the clock; until then records are timed from the last one on, 1 us apart."
        yield Finding("clock", WARN, f"the clock is {ahead_s:.0f} s behind the log's last record", todo)
        return
    synchronised = probes.clock_synchronised()
    if synchronised is False:
        yield Finding("clock", WARN, "no time service keeps this clock", "Run chrony or systemd-timesyncd.")
    else:
        yield Finding(
            "clock", OK, "not behind the log" + (", kept by a time service" if synchronised else "")
        )


def _log(data: Data) -> Iterator[Finding]:
    log = FolderLog(data.wal_dir)
    yield Finding("log", OK, f"id {log.log_id.hex()}, ends with record {log.head.seq}")
    if log.tail.torn_bytes:
        detail = f"{log.tail.torn_bytes} bytes of a batch that was never acknowledged stand after the end"
        yield Finding("log", NOTE, detail, "Nothing: the next start cuts them.")


def _view(data: Data, *, live: bool, deep: bool) -> Iterator[Finding]:
    try:
        # Every page before LMDB sees one: a damaged page can end the process inside the library.
        if not live:
            yield from _pages(data.db_dir, live=False, deep=deep)
        facts = view_facts(data.db_dir)
        if live:
            yield from _pages(data.db_dir, live=True, deep=deep)
    except NotFound:
        yield Finding(
            "view",
            NOTE,
            f"there is no view in {data.db_dir}",
            "Nothing: the next start makes it from the log.",
        )
        return
    yield _lag(FolderLog(data.wal_dir), facts)
    use = facts.used_bytes / limits.MAP_BYTES_DEFAULT
    detail = (
        f"{facts.used_bytes // limits.MIB} MiB of a map of {limits.MAP_BYTES_DEFAULT // limits.MIB} MiB used"
    )
    todo = "Plan for more: a full map refuses writes; reads go on."
    yield Finding("map", WARN if use > _MAP_USE_WARN else OK, detail, todo if use > _MAP_USE_WARN else "")
    if facts.stale_readers:
        detail = f"{facts.stale_readers} reader slots of dead processes were freed"
        yield Finding(
            "readers", NOTE, detail, "Nothing; if it repeats, find out which tool dies while reading."
        )
    else:
        yield Finding("readers", OK, f"{facts.readers} reader slots in use, none stale")


def _pages(folder: Path, *, live: bool, deep: bool) -> Iterator[Finding]:
    if deep:
        found = check_view(folder, live=live)
        yield Finding("pages", OK, f"{found.rows} rows on {found.pages} pages are what was written")


def _lag(log: FolderLog, facts: ViewFacts) -> Finding:
    state, head_seq = facts.state, log.head.seq
    if state is None:
        return Finding("view", NOTE, "the view is empty", "Nothing: the next start fills it from the log.")
    if state.log_id != log.log_id:
        todo = (
            "Put log and view of the same log together, or delete the view's files: it is made from the log."
        )
        return Finding("view", FAIL, f"the view is of another log, {state.log_id.hex()}", todo)
    if state.applied_seq > head_seq:
        detail = f"the view holds record {state.applied_seq}, the log ends with {head_seq}: records were lost"
        return Finding(
            "view", FAIL, detail, "Restore the log from a backup; see docs/operating/durability.md."
        )
    lag = head_seq - state.applied_seq
    detail = f"{state.claims_count} claims, {lag} records behind the log"
    if lag > limits.BATCH_CHANGES_MAX:
        return Finding(
            "view", WARN, detail, "Start the service: it replays them; then look for what stopped it."
        )
    return Finding("view", OK, detail)


def claims_count(folder: Path) -> int:
    """Return how many claims the view in `folder` holds; 0 for none. Raises `Corrupt`."""
    try:
        state = view_facts(folder).state
    except NotFound:
        return 0
    return state.claims_count if state else 0
