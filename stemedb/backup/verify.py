"""Verifying backups again and again: what is new since the last time, or all of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from blake3 import blake3

from stemedb.backup.checking import check_snapshot, has_view
from stemedb.backup.layout import VERIFIED_NAME, read_state, snapshot_folders, write_state
from stemedb.backup.manifest import MANIFEST_NAME, Trusted, read_manifest
from stemedb.backup.points import Points, SnapshotPoint, read_points
from stemedb.backup.reading import Place
from stemedb.backup.redacting import Erasing, erasings_between
from stemedb.backup.walking import Progress, walk
from stemedb.errors import Corrupt, StemedbError
from stemedb.log import Head


class VerifiedState(msgspec.Struct, frozen=True):
    """How far the log was found whole (place and chain), and which snapshots (by name, hash of manifest).

    `at` is when the last verification found all whole (Unix seconds).
    """

    log_id: str
    base: int
    offset: int
    seq: int
    chain: str
    time: int
    snapshots: dict[str, str]
    at: int


class Problem(msgspec.Struct, frozen=True):
    """One thing found wrong: a stable code, and what it is; `hint` says what to do."""

    code: str
    detail: str
    hint: str


class Report(msgspec.Struct, frozen=True):
    """What a verification looked at and found."""

    seq: int
    records: int
    signatures: int
    snapshots: int
    snapshots_skipped: int
    views_erased: int
    problems: list[Problem]
    seconds: float

    @property
    def whole(self) -> bool:
        """Say whether nothing was found wrong."""
        return not self.problems


def verify(
    backup_dir: Path, trusted: Trusted, *, full: bool, progress: Progress = lambda _done, _total: None
) -> Report:
    """Check a backup folder: with `full` everything, else what is new since the last time that all was whole.

    Raises:
        NotFound: there is no backup.
        OSError: something cannot be read.
    """
    began = time.monotonic()
    state = None if full else read_state(backup_dir / VERIFIED_NAME, VerifiedState)
    problems = list(_bad_manifests(backup_dir, trusted))
    if problems:
        return Report(0, 0, 0, 0, 0, 0, problems, time.monotonic() - began)
    try:
        points = read_points(backup_dir, trusted)
    except Corrupt as error:
        return Report(0, 0, 0, 0, 0, 0, [_problem(error)], time.monotonic() - began)
    if state is not None and (state.log_id != points.log_id.hex() or state.seq > points.head.seq):
        state = None  # of another archive, or of an older state of this one
    found = _Found(points, state, full=full)
    found.log(progress)
    found.snapshots()
    if not found.problems:
        found.remember(backup_dir)
    return found.report(time.monotonic() - began)


class _Found:
    """One verification of what trusted keys vouch for."""

    def __init__(self, points: Points, state: VerifiedState | None, *, full: bool) -> None:
        self._points = points
        self._full = full
        self._since = None
        self._seen: dict[str, str] = {}
        if state is not None:
            head = Head(state.seq, bytes.fromhex(state.chain), state.time)
            self._since = Place(state.base, state.offset, head)
            self._seen = state.snapshots
        self._place = self._since
        self._erased: list[Erasing] | None = None
        self._records = self._signatures = self._snapshots = self._skipped = self._views_erased = 0
        self.problems: list[Problem] = []

    def log(self, progress: Progress) -> None:
        try:
            walked = walk(self._points, since=self._since, progress=progress)
        except Corrupt as error:
            self.problems.append(_problem(error))
            return
        self._place, self._records = walked.place, walked.records_count
        self._signatures = walked.signatures_count
        if self._since is None:
            self._erased = walked.erased

    def snapshots(self) -> None:
        for point in self._points.snapshots:
            seen = self._seen.get(point.folder.name) == _fingerprint(point) and has_view(point)
            if seen and not self._full:
                self._skipped += 1
                continue
            try:
                whole = check_snapshot(point, self._all_erased(point), deep=self._full)
            except StemedbError as error:
                self.problems.append(_problem(error))
            else:
                self._snapshots += 1
                self._views_erased += not whole

    def _all_erased(self, point: SnapshotPoint) -> list[Erasing]:
        """Return what was erased after a snapshot; asked only where its view may be gone for that."""
        if self._erased is None:
            self._erased = erasings_between(self._points.wal, point.manifest.seq, self._points.head.seq)
        return self._erased

    def remember(self, backup_dir: Path) -> None:
        place = self._place
        if place is None:
            return
        state = VerifiedState(
            self._points.log_id.hex(),
            place.base,
            place.offset,
            place.head.seq,
            place.head.chain.hex(),
            place.head.time,
            {point.folder.name: _fingerprint(point) for point in self._points.snapshots},
            int(time.time()),
        )
        write_state(backup_dir / VERIFIED_NAME, state)

    def report(self, seconds: float) -> Report:
        return Report(
            self._points.head.seq,
            self._records,
            self._signatures,
            self._snapshots,
            self._skipped,
            self._views_erased,
            self.problems,
            seconds,
        )


def _bad_manifests(backup_dir: Path, trusted: Trusted) -> Iterator[Problem]:
    for folder in snapshot_folders(backup_dir):
        problem = _bad_manifest(folder, trusted)
        if problem is not None:
            yield problem


def _bad_manifest(folder: Path, trusted: Trusted) -> Problem | None:
    try:
        read_manifest(folder, trusted)
    except Corrupt as error:
        return _problem(error)
    return None


def _fingerprint(point: SnapshotPoint) -> str:
    return blake3((point.folder / MANIFEST_NAME).read_bytes()).hexdigest()


def _problem(error: StemedbError) -> Problem:
    return Problem(error.reason, error.detail, error.hint)
