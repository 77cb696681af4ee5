"""Proving that a restore works: the state of a running service, restored beside it and compared with it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from stemedb import limits
from stemedb.backup.layout import DRILL_NAME, STATE_NAME, WAL_NAME, ArchiveState, DrillState, read_state
from stemedb.backup.layout import write_state as write_drill_state
from stemedb.backup.manifest import Trusted
from stemedb.backup.points import Target, read_points
from stemedb.backup.restore import Restored, Wanted, restore
from stemedb.errors import Corrupt, StemedbError
from stemedb.store import View
from stemedb.store.copying import digest_of

PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"
RESULTS = (PASS, FAIL, INCONCLUSIVE)


class Failed(Exception):
    """The backup does not give what the service holds; the text says what differs."""


class Inconclusive(Exception):
    """It could not be tried; the text says why."""


class Ground(NamedTuple):
    """Where a drill is done: the backups, the view of the running service, an empty folder to restore to."""

    backup_dir: Path
    db_dir: Path
    scratch: Path
    trusted: Trusted


def wait_archived(backup_dir: Path, seq: int) -> None:
    """Wait until the archive holds `seq`; raises `Failed` if it does not follow."""
    deadline = time.monotonic() + limits.DRILL_ARCHIVE_WAIT_S
    while True:
        archived = 0
        with suppress(OSError, StemedbError):
            state = read_state(backup_dir / WAL_NAME / STATE_NAME, ArchiveState)
            archived = state.head.seq if state else 0
        if archived >= seq:
            return
        if time.monotonic() > deadline:
            waited_s = limits.DRILL_ARCHIVE_WAIT_S
            raise Failed(f"record {seq} was not archived within {waited_s:.0f} s; the archive has {archived}")
        time.sleep(limits.ARCHIVE_LOOK_S)


def prove(ground: Ground, claim_id: bytes, say: Callable[[str], None]) -> Restored:
    """Restore the state that the service holds now, and compare: digest, and the claim.

    The scratch folder is emptied again whatever happens.

    Raises:
        Failed: the restore is refused, or gives something else.
        Inconclusive: it could not be tried.
    """
    scratch = ground.scratch
    try:
        scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(scratch.iterdir()):
            raise Inconclusive(f"{scratch} is not empty")
    except OSError as error:
        raise Inconclusive(f"{scratch}: {error.strerror}") from None
    for _ in range(limits.DRILL_TRIES_MAX):
        try:
            restored = _try(ground, claim_id, say)
        finally:
            for path in scratch.iterdir():
                shutil.rmtree(path, ignore_errors=True)
        if restored is not None:
            return restored
    raise Inconclusive("claims were erased while it was tried")


def _try(ground: Ground, claim_id: bytes, say: Callable[[str], None]) -> Restored | None:
    """Try once; None if an erasure came in between, after which source and restore may differ."""
    say("reading the state of the service")
    try:
        state, digest = digest_of(ground.db_dir, live=True)
    except StemedbError as error:
        raise Inconclusive(error.detail) from None
    wait_archived(ground.backup_dir, state.applied_seq)
    wanted = Wanted(ground.scratch / "wal", ground.scratch / "db", Target(state.applied_seq, None))
    try:
        restored = restore(read_points(ground.backup_dir, ground.trusted), wanted, say=say)
        if restored.state_digest != digest:
            if restored.erased_later:
                return None
            raise Failed(
                f"at record {restored.seq} the service has the state {digest}, "
                f"the restored copy {restored.state_digest}"
            )
        _require_claim(ground.scratch / "db", claim_id)
    except Corrupt as error:
        raise Failed(error.detail) from None
    except StemedbError as error:
        raise Inconclusive(error.detail) from None
    return restored


def _require_claim(db_dir: Path, claim_id: bytes) -> None:
    with closing(View(db_dir)) as view, view.snapshot() as snapshot:
        if snapshot.claim(claim_id) is None:
            raise Failed(f"the claim {claim_id.hex()} is not in the restored copy")


def note_result(backup_dir: Path, result: str, detail: str, seq: int, seconds: float) -> DrillState:
    """Keep how a drill ended beside the backups; return that."""
    now, passed_at = int(time.time()), 0
    with suppress(StemedbError, OSError):
        before = read_state(backup_dir / DRILL_NAME, DrillState)
        passed_at = before.passed_at if before else 0
    passed_at = now if result == PASS else passed_at
    state = DrillState(result, now, detail, seq, round(seconds, 3), passed_at)
    with suppress(OSError):
        write_drill_state(backup_dir / DRILL_NAME, state)
    return state
