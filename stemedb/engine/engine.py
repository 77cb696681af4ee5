"""The process's one engine: opened, asked to write, watched, closed."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import msgspec
from blake3 import blake3

from stemedb import limits
from stemedb.engine.backups import Backups
from stemedb.engine.batch import Change
from stemedb.engine.changes import Outcome
from stemedb.engine.claims import Checked, Unverified, take_claim
from stemedb.engine.compacting import Compactor
from stemedb.engine.disk import DiskFloor
from stemedb.engine.erasing import Eraser, Erasure, erases
from stemedb.engine.failures import Failures
from stemedb.engine.gauges import show_engine
from stemedb.engine.history import proof_page, signed_head
from stemedb.engine.pending import Pending, Result
from stemedb.engine.replay import Progress, catch_up
from stemedb.engine.server_key import load_server_key
from stemedb.engine.storage import storage_stats
from stemedb.engine.verifiers import Verifiers
from stemedb.engine.verifying import Admit, Verifying, verify_all
from stemedb.engine.writer import Writer
from stemedb.errors import BadSettings, Corrupt, StemedbError, StorageFailed
from stemedb.log import FolderLock, LocalLog, Log, open_log
from stemedb.log.files import Faults
from stemedb.model import SignedAssertion, Signer
from stemedb.model.backup import BackupReply
from stemedb.model.erasure import CopyOut
from stemedb.model.history import ProofPage, SignedHead
from stemedb.model.operations_wire import StorageReply
from stemedb.store import View
from stemedb.store.crash import check_before_opening
from stemedb.store.local import FOLDER_NAME, LocalStore
from stemedb.telemetry import Telemetry


class EngineSettings(NamedTuple):
    """Where the data lies and how it is kept."""

    wal_dir: Path
    db_dir: Path
    key_dir: Path
    segment_bytes: int
    disk_floor_mb: int = limits.DISK_FLOOR_MB_DEFAULT
    unsafe_skip_signatures: bool = False
    archived_seq: int = 0
    """The last record that an archive of this log holds: a log that ends before it was cut or lost."""
    processors: frozenset[int] = frozenset()
    """Those that processes beside this one may use; where none are named, those that it uses itself."""


class Opened(NamedTuple):
    """What belongs to one engine: the log, the view of it, the locks of their folders, the server's key."""

    log: LocalLog
    view: View
    locks: Sequence[FolderLock]
    key: Signer
    faults: Faults | None
    local: LocalStore


class Engine:
    """Orders *verify, log, fold, answer*; owns the log, the view and the writer."""

    def __init__(
        self,
        settings: EngineSettings,
        opened: Opened,
        telemetry: Telemetry,
        on_verifier_lost: Callable[[str], None],
    ) -> None:
        """Take over an open log and a view that holds all of it; `open_engine` makes them."""
        self.log: Log = opened.log
        self.view = opened.view
        self.recovery = opened.log.recovery
        self._telemetry = telemetry
        self._failures = Failures(settings.db_dir)
        telemetry.fsync_errors.inc(self._failures.count)
        self.failed = threading.Event()
        self.failure: Exception | None = None
        self._unsigned_allowed = settings.unsafe_skip_signatures
        self._locks = opened.locks
        self._key = opened.key
        self._disk = DiskFloor((settings.wal_dir, settings.db_dir), settings.disk_floor_mb)
        self._compactor = Compactor(self.log, self.view, telemetry, self.fail)
        self.eraser = Eraser(self.log, self.view, telemetry, self._compactor)
        self.local = opened.local
        self._backups: Backups | None = None
        self._usage = opened.log.usage
        self._writer = Writer(self.log, self.view, telemetry, self.fail, opened.faults)
        self._verifiers = Verifiers(on_verifier_lost, settings.processors)
        self._verifying = Verifying(self._verifiers, self._writer)
        telemetry.count_assertions(self.view.claims_count)
        telemetry.wal_segments.set_function(lambda: opened.log.usage().segments)
        telemetry.wal_disk_usage.set_function(lambda: opened.log.usage().bytes)
        show_engine(self, self._disk, telemetry)

    def take(self, signed: SignedAssertion, given_id: bytes | None, *, by_admin: bool = False) -> Unverified:
        """Encode and hash a claim, whose signatures stay to be verified; raises as `take_claim` does."""
        return take_claim(signed, given_id, by_admin=by_admin, unsigned_allowed=self._unsigned_allowed)

    def verify(self, claims: Sequence[Unverified]) -> list[Checked | StemedbError]:
        """Return each claim as it was verified, or why it is refused, in order; blocks while that takes."""
        return verify_all(self._verifiers, claims)

    def submit_one(self, change: Change, key_id: bytes | None = None) -> Outcome:
        """Make one change durable and visible; raises as `submit` does, and what the state does not allow."""
        return self.begin(change, key_id).outcome()

    def submit(self, changes: Sequence[Change], key_id: bytes | None = None) -> list[Result]:
        """Make `changes` durable and visible, then tell what became of each, or why not, in order.

        Raises:
            Unavailable: no room, queue full, or draining; nothing of it was written.
            StorageFailed: a write or sync failed; nothing of it was acknowledged and the process must end.
        """
        self._disk.require()
        return self._writer.begin(changes, key_id).wait() if changes else []

    def begin(self, change: Change, key_id: bytes | None = None) -> Pending:
        """Set one change on its way; what is returned tells what became of it.

        Raises:
            Unavailable: no room, queue full, or draining; nothing of it was written.
        """
        self._disk.require()
        return self._writer.begin((change,), key_id)

    def begin_claim(self, claim: Unverified, admit: Admit, key_id: bytes | None = None) -> Pending:
        """Set a claim on its way, to be verified and, if `admit` lets it, written; what is returned tells.

        `admit` gets the verified claim, maybe in another thread, and returns what is to be written.

        Raises:
            Unavailable: no room, queue full, or draining; nothing of it was written.
        """
        self._disk.require()
        return self._verifying.begin(claim, admit, key_id)

    def erase(
        self, erasure: Erasure, *, now: bool, key_id: bytes | None = None
    ) -> tuple[Outcome, list[CopyOut]]:
        """Erase claims and sources; return what became of it, and the state of every copy.

        `now` has old bytes of the view's file removed at once, and waits a while for that. Raises as `submit`
        does, and `NotFound`.
        """
        outcome = self.submit_one(erasure, key_id)
        try:
            return outcome, self.eraser.carry_out(outcome.seq, now=now)
        except (StorageFailed, Corrupt) as error:
            # The record stands, so the next start goes on with it.
            self.fail(error)
            raise

    def signed_head(self) -> SignedHead:
        """Return the log's head, signed by the server's own key."""
        return signed_head(self.log, self._key)

    def secret_for(self, purpose: str) -> bytes:
        """Return 32 bytes that only this server can make, always the same for one purpose."""
        return blake3(self._key.seed, derive_key_context=f"stemedb 2026 {purpose}").digest()

    def proof_page(self, first_seq: int, last_seq: int) -> ProofPage:
        """Return the hashes of these records, each read and checked again; raises `Invalid` or `Corrupt`."""
        return proof_page(self.log, first_seq, last_seq)

    @property
    def unsigned_allowed(self) -> bool:
        """Whether claims without signatures are accepted (unsafe mode)."""
        return self._unsigned_allowed

    @property
    def queued(self) -> int:
        """How many changes wait for the writer now."""
        return self._writer.queued

    def storage_stats(self) -> StorageReply:
        """Return what log and view hold and take, and what their disks have left."""
        return storage_stats(self, self._disk, self._usage())

    def checks(self) -> dict[str, str]:
        """Return the named health checks: `ok`, or what is wrong."""
        lag = self.log.head().seq - self.view.applied_seq if not self.failed.is_set() else 0
        found = {
            "storage": f"failed: {self.failure}" if self.failed.is_set() else "ok",
            "disk": self._disk.shortage or self._writer.no_room or "ok",
            "view": "ok" if lag <= limits.BATCH_CHANGES_MAX else f"{lag} records behind the log",
            "queue": "ok" if self.queued < limits.QUEUE_CHANGES_MAX // 2 else f"{self.queued} changes wait",
        }
        if self._backups is not None:
            found["archive"] = self._backups.trouble(self.view.applied_seq, self._recorded_at) or "ok"
        return found

    def watch_backups(self, backups: Backups) -> None:
        """Tell of these backups in health, in `backup_status`, and in the answer to an erasure."""
        self._backups = backups
        self.eraser.other_copies.append(backups.copies)

    def backup_status(self) -> BackupReply:
        """Return what is known of the backups."""
        if self._backups is None:
            return BackupReply(configured=False)
        trouble = self._backups.trouble(self.view.applied_seq, self._recorded_at)
        return msgspec.structs.replace(self._backups.status(self.view.applied_seq), trouble=trouble)

    def _recorded_at(self, seq: int) -> int:
        with self.view.snapshot() as snapshot:
            return snapshot.recorded_at(seq)

    def fail(self, error: Exception) -> None:
        """Note that storage can no longer be trusted; whoever runs the process must end it."""
        if not self.failed.is_set():
            if not isinstance(error, Corrupt):
                self._telemetry.fsync_errors.inc()
                self._failures.note()
            self.failure = error
            self.failed.set()

    def close(self) -> None:
        """Finish what waits, then close everything; a second call does nothing."""
        self._compactor.close()
        self._verifying.close()
        self._verifiers.close()
        self._writer.close()
        self._disk.close()
        self.local.close()
        self.log.close()
        self.view.close()
        for lock in self._locks:
            lock.close()


def open_engine(
    settings: EngineSettings,
    *,
    telemetry: Telemetry | None = None,
    progress: Progress = lambda _text: None,
    on_verifier_lost: Callable[[str], None] = lambda _what: None,
    faults: Faults | None = None,
) -> Engine:
    """Lock the folders, recover the log, bring the view up to it, and start the writer.

    `on_verifier_lost` is told when a process that verifies signatures was lost, and how.

    `faults` is the tests' hook into the steps of the write path, those of the log and `FAULT_POINTS`.

    Raises:
        Locked: another process holds a folder.
        Corrupt: log or view are not what was written, or do not belong together.
        BadSettings: a folder cannot be used.
    """
    telemetry = telemetry or Telemetry()
    started_at = time.perf_counter()
    with ExitStack() as undo:
        opened = _open(settings, telemetry, progress, faults, undo)
        catch_up(opened.log, opened.view, progress)
        undo.pop_all()
    telemetry.recovery_duration.set(time.perf_counter() - started_at)
    engine = Engine(settings, opened, telemetry, on_verifier_lost)
    try:
        engine.eraser.overwrite()
    except BaseException:
        engine.close()
        raise
    return engine


def _open(
    settings: EngineSettings,
    telemetry: Telemetry,
    progress: Progress,
    faults: Faults | None,
    undo: ExitStack,
) -> Opened:
    """Open locks, view and log in this order; `undo` closes them again if a later step fails."""
    locks = []
    for folder in dict.fromkeys((settings.wal_dir, settings.db_dir)):
        _make_folder(folder)
        locks.append(FolderLock(folder))
        undo.callback(locks[-1].close)
    key = load_server_key(settings.key_dir)
    check_before_opening(settings.db_dir, progress)
    view = View(settings.db_dir)
    undo.callback(view.close)

    def on_batch(sync_s: float, records_count: int, batch_bytes: int) -> None:
        telemetry.fsync_latency.observe(sync_s)
        telemetry.batch_size.observe(records_count)
        telemetry.wal_bytes.inc(batch_bytes)

    log = open_log(
        settings.wal_dir,
        server_key=key.agent_id,
        segment_bytes=settings.segment_bytes,
        known_seq=max(view.applied_seq, settings.archived_seq),
        lock=locks[0],
        progress=lambda done, total: progress(f"checking the log: {done} of {total} bytes"),
        on_batch=on_batch,
        erases=erases,
        faults=faults,
    )
    undo.callback(log.close)
    local = LocalStore(settings.db_dir / FOLDER_NAME, on_drop=telemetry.audits_dropped.inc)
    undo.callback(local.close)
    return Opened(log, view, locks, key, faults, local)


def _make_folder(folder: Path) -> None:
    """Make a missing data folder; raise `BadSettings` where that, or writing in it, is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadSettings(f"the data folder {folder} cannot be made: {error.strerror}") from error
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise BadSettings(
            f"the data folder {folder} cannot be written",
            hint="Give it to the user that runs the service, or choose another folder.",
        )
