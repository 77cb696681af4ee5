"""Erasing (claims.md 6): the record that says so, then the bodies in the log, then old bytes of the view.

The record comes first and names the `seq`s: whatever is cut short after it is taken up again at the next
start. Everything here may be repeated.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import chain
from typing import NamedTuple

from stemedb import limits
from stemedb.engine.batch import Batch
from stemedb.engine.changes import Settle
from stemedb.engine.compacting import Compactor
from stemedb.errors import NotFound
from stemedb.log import Log
from stemedb.model.erasure import DONE, PENDING, CopyOut
from stemedb.model.records import ErasureRecord, RecordType, decode_body
from stemedb.store import View
from stemedb.telemetry import Telemetry

ListCopies = Callable[[int], Sequence[CopyOut]]
"""Tells of further copies of what the erasure at a seq is about, such as those of backups."""


def erases(record_type: int, body: bytes) -> Sequence[int]:
    """Return the seqs that a record of the log says are erased (`stemedb.log.Erases`)."""
    if record_type != RecordType.ERASURE:
        return ()
    content = decode_body(record_type, body)
    return content.seqs if isinstance(content, ErasureRecord) else ()


class Erasure(NamedTuple):
    """Claims and sources that are to be gone, by their ids; `by` says who wanted it."""

    ids: tuple[bytes, ...]
    reason: str
    by: str
    solo: bool = True
    size_bytes: int = 0

    def decide(self, batch: Batch) -> Settle:
        """Record where their bodies are; those that are gone already are left out.

        Raises `NotFound` if one of them is not known, and then erases none.
        """
        snapshot = batch.snapshot
        seqs: dict[bytes, tuple[int, ...]] = {}
        last_erasure_seq = 0
        for content_id in self.ids:
            row = snapshot.claim(content_id) or snapshot.source(content_id)
            erasure_seq = snapshot.erased_at(content_id)
            held = snapshot.held(content_id)
            if row is not None:
                seqs[content_id] = (row.seq, *snapshot.once_held(content_id))
            elif held is not None:
                seqs[content_id] = held.seqs
            elif erasure_seq is not None:
                last_erasure_seq = max(last_erasure_seq, erasure_seq)
            else:
                raise NotFound(
                    f"there is no claim or source {content_id.hex()}",
                    code="unknown_hash",
                    hint="Nothing was erased. Correct the id, or leave it out.",
                )
        if not seqs:
            return batch.exists(self.ids[0], lambda _: last_erasure_seq)
        body = ErasureRecord(tuple(seqs), tuple(chain.from_iterable(seqs.values())), self.reason, self.by)
        return batch.created(self.ids[0], batch.add_body(body))


class Eraser:
    """Carries out on this host what the erasures of the log say."""

    def __init__(self, log: Log, view: View, telemetry: Telemetry, compactor: Compactor) -> None:
        """Work on this log and this view; `compactor` is the view's."""
        self._log = log
        self._view = view
        self._telemetry = telemetry
        self._compactor = compactor
        self._overwriting = threading.Lock()
        self.other_copies: list[ListCopies] = []

    def carry_out(self, erasure_seq: int, *, now: bool) -> list[CopyOut]:
        """Do what erasures so far leave to be done; return the state of every copy of what this one erased.

        The bodies in the log are gone when it returns. Old bytes in the view's file go within
        `VIEW_COMPACT_WITHIN_S`, or, with `now`, at once, for which it waits at most `ERASE_WAIT_S_MAX`.

        Raises:
            StorageFailed: a write or sync failed; the log is dead.
            Corrupt: the log is not what was written.
        """
        self.overwrite()
        if now:
            self._compactor.run_now(limits.ERASE_WAIT_S_MAX)
        else:
            self._compactor.look_again()
        return self.copies(erasure_seq)

    def overwrite(self) -> None:
        """Overwrite in the log the body of everything that was erased and still may be there.

        Raises as `carry_out` does.
        """
        with self._overwriting:
            due = self._view.to_overwrite()
            if due:
                with self._telemetry.operation("overwrite"):
                    self._log.erase([seq for seqs in due.values() for seq in seqs])
                    self._view.overwritten(due)

    def copies(self, erasure_seq: int) -> list[CopyOut]:
        """Return the state of every copy of what was erased there, those in the log and in the view first."""
        due_s = self._compactor.due_s()
        return [
            CopyOut("log", PENDING if self._view.to_overwrite() else DONE),
            CopyOut("view", DONE if due_s is None else PENDING, due_s),
            *(copy for list_copies in self.other_copies for copy in list_copies(erasure_seq)),
        ]
