"""One transaction of the fold: records are applied, and all of them are seen once it is committed."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from stemedb.store import keys
from stemedb.store.buffered import Buffered
from stemedb.store.environment import Environment
from stemedb.store.fold import fold_record
from stemedb.store.record import FoldRecord
from stemedb.store.rows import ViewState


class Folding:
    """Made by `View.folding`, and used by one thread. LMDB's errors come through as they are."""

    def __init__(self, env: Environment, state: ViewState | None, log_id: bytes) -> None:
        """Begin after `state`; `log_id` names the log that the records are of."""
        self.committed: ViewState | None = None
        """Where the fold stands, once that is so."""
        self._env = env
        self._state = state
        self._log_id = log_id
        self._txn = env.lmdb.begin(write=True)

    def apply(self, records: Sequence[FoldRecord]) -> None:
        """Apply records, which have no gap and leave none behind those before; raises `Corrupt`."""
        # A compaction may have folded some of them while the caller waited for it.
        applied_seq = self._state.applied_seq if self._state else 0
        fresh = [record for record in records if record.seq > applied_seq]
        if fresh:
            self._apply(fresh)

    def commit(self) -> None:
        """Let everything that was applied be seen."""
        self._txn.commit()
        self.committed = self._state

    def end(self) -> None:
        """Leave the transaction; what was not committed is gone. Once committed it does nothing."""
        self._txn.abort()

    def _apply(self, records: Sequence[FoldRecord]) -> None:
        added, txn = 0, self._txn
        tables, chores = self._env.tables, self._env.chores
        tables.marks.begin(records[-1].seq)
        # Counters are read and written once a batch: many of its claims share a question or an agent.
        counting = copy.copy(tables)
        counting.questions = questions = Buffered(tables.questions)
        counting.agents = agents = Buffered(tables.agents)
        for record in records:
            chores.note(txn, tables, record)
            added += fold_record(txn, counting, record)
        questions.flush(txn)
        agents.flush(txn)
        last = records[-1]
        claims_count = (self._state.claims_count if self._state else 0) + added
        self._state = ViewState(self._log_id, last.seq, last.recorded_at, claims_count)
        tables.meta.put(txn, keys.STATE, self._state)
