"""The one writer: takes all that waits, decides it, makes it durable, folds it, wakes the callers.

Batches form while the sync before is running; there is no artificial delay. The queue is bounded in changes.
A caller is answered only when its record is on stable storage and visible to reads.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from stemedb import limits
from stemedb.engine.batch import Batch, Change
from stemedb.engine.changes import Settle
from stemedb.engine.pending import Pending, why_not
from stemedb.engine.replay import catch_up
from stemedb.errors import Corrupt, StemedbError, StorageFailed, Unauthorized, Unavailable
from stemedb.log import Log, Record
from stemedb.log.files import Faults
from stemedb.store import View
from stemedb.telemetry import Telemetry

FAULT_POINTS: Final = ("before_fold", "before_reply")
"""Steps at which a fault hook is called, beside those of the log."""


class Writer:
    """Owns the only thread that appends to the log and folds into the view."""

    def __init__(
        self,
        log: Log,
        view: View,
        telemetry: Telemetry,
        on_failure: Callable[[Exception], None],
        faults: Faults | None = None,
    ) -> None:
        """Start the thread; `on_failure` is told once when storage fails, and nothing is accepted after."""
        self._log = log
        self._view = view
        self._telemetry = telemetry
        self._on_failure = on_failure
        self._faults = faults
        self._tickets: deque[Pending] = deque()
        self._queued = 0
        self.no_room: str | None = None
        """Why the last batch was refused, while no later one found room."""
        self.idle = False
        """Whether it waits for work."""
        self._closed = False
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="stemedb-writer")
        self._thread.start()

    @property
    def queued(self) -> int:
        """How many changes wait now."""
        return self._queued

    def begin(self, changes: Sequence[Change], key_id: bytes | None = None) -> Pending:
        """Take `changes`, which its caller may then wait for; where they came with an API key, name it.

        Raises:
            Unavailable: the queue is full, or the writer is closing.
        """
        pending = Pending(key_id).carry(changes)
        with self._wake:
            if refusal := self._refusal(pending):
                raise refusal
            self._enqueue(pending)
        return pending

    def begin_all(self, pendings: Iterable[Pending]) -> None:
        """Take changes of several callers, who wait already; those that find no room are refused."""
        refused = []
        with self._wake:
            for pending in pendings:
                if refusal := self._refusal(pending):
                    refused.append((pending, refusal))
                else:
                    self._enqueue(pending)
        for pending, refusal in refused:
            pending.refuse(refusal)

    def _refusal(self, pending: Pending) -> Unavailable | None:
        waiting = self._queued + len(pending.changes)
        return why_not(closed=self._closed, waiting=waiting, most=limits.QUEUE_CHANGES_MAX)

    def _enqueue(self, pending: Pending) -> None:
        self._tickets.append(pending)
        self._queued += len(pending.changes)
        self._wake.notify()

    def close(self) -> None:
        """Take no more, finish what waits, end the thread; a second call does nothing."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join()

    def _run(self) -> None:
        while tickets := self._take():
            self._commit_or_refuse(tickets)

    def _take(self) -> list[Pending]:
        """Wait for work; return whole tickets up to one batch, nothing once closed and empty."""
        with self._wake:
            while not self._tickets and not self._closed:
                self.idle = True
                self._wake.wait()
            self.idle = False
            taken: list[Pending] = []
            changes_count = batch_bytes = 0
            while self._tickets:
                ticket = self._tickets[0]
                changes_count += len(ticket.changes)
                batch_bytes += ticket.size_bytes
                over = changes_count > limits.BATCH_CHANGES_MAX or batch_bytes > limits.BATCH_BYTES_MAX
                if taken and (over or ticket.solo or taken[-1].solo):
                    break
                taken.append(self._tickets.popleft())
                self._queued -= len(ticket.changes)
            return taken

    def _commit_or_refuse(self, tickets: Sequence[Pending]) -> None:
        try:
            self._commit(tickets)
            self.no_room = None
        except Unavailable as error:
            self.no_room = error.detail
            _refuse(tickets, error)
        except Exception as error:  # noqa: BLE001 - whatever it was, what is on the disk is in doubt now
            _refuse(tickets, StorageFailed(f"the write failed: {error}"))
            self._fail(error)

    def _commit(self, tickets: Sequence[Pending]) -> None:
        if self._view.applied_seq < self._log.head().seq:
            # The last fold found no room. What it left is durable, and part of the state to decide against.
            catch_up(self._log, self._view, lambda _text: None)
        with self._view.snapshot() as snapshot:
            batch = Batch(snapshot)
            decided = [_decide_all(ticket, batch) for ticket in tickets]
        first_seq = 0
        if batch.drafts:
            position = self._log.append(batch.drafts)
            first_seq = position.first_seq
            records = [
                Record(first_seq + index, position.recorded_at + index, draft.type, draft.body)
                for index, draft in enumerate(batch.drafts)
            ]
            self._reached("before_fold")
            claims_before = self._view.claims_count
            with self._telemetry.operation("fold"):
                read = {first_seq + index: claim for index, claim in batch.read.items()}
                self._view.fold(self._log.log_id, records, read)
            # An erasure makes them fewer; a counter only ever grows.
            self._telemetry.note_created(max(0, self._view.claims_count - claims_before))
            self._reached("before_reply")
        for ticket, settles in zip(tickets, decided, strict=True):
            ticket.results = [
                settle if isinstance(settle, StemedbError) else settle(first_seq) for settle in settles
            ]
            ticket.tell()

    def _reached(self, point: str) -> None:
        if self._faults is not None:
            self._faults.at(point)

    def _fail(self, error: Exception) -> None:
        """Refuse all that waits and all that comes: after a failed sync nothing may be acknowledged."""
        with self._wake:
            self._closed = True
            waiting = list(self._tickets)
            self._tickets.clear()
            self._queued = 0
        _refuse(waiting, StorageFailed("the log failed; the service is stopping"))
        self._on_failure(error)


def _refuse(tickets: Sequence[Pending], error: StemedbError) -> None:
    for ticket in tickets:
        ticket.refuse(error)


def _decide_all(ticket: Pending, batch: Batch) -> list[Settle | StemedbError]:
    """Decide a ticket's changes; refuse them all where its key ended while they waited."""
    if ticket.key_id is not None:
        row = batch.snapshot.api_key(ticket.key_id)
        if row is None or not row.is_live(time.time()):
            return [Unauthorized("the API key was revoked", code="unknown_key")] * len(ticket.changes)
    return [_decide(change, batch) for change in ticket.changes]


def _decide(change: Change, batch: Batch) -> Settle | StemedbError:
    """Let a change decide itself; a refusal is its own affair, corrupt data everybody's."""
    try:
        return change.decide(batch)
    except Corrupt:
        raise
    except StemedbError as refusal:
        return refusal
