"""The tables as one transaction of the fold uses them: what each claim would look up again is kept at hand.

A claim counts for its question and for each of its agents, and most of a batch share these; whether anything
stands in quarantine, or names a parent, is asked of every claim and is seldom so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import lmdb

from stemedb.model.claim import Tier
from stemedb.store.record import ReadClaim
from stemedb.store.table import Row, Table
from stemedb.store.tables import Tables

CROWD_CLAIMS = 500
"""How many anecdotal claims with nothing above them make an escalation (api.md)."""

_NONE_YET = (0,) * len(Tier)


def is_crowd(by_tier: Sequence[int]) -> bool:
    """Say whether so many claims by tier are an anecdotal crowd with nobody of tiers 0 to 2 above it."""
    return by_tier[Tier.ANECDOTAL] >= CROWD_CLAIMS and not any(by_tier[: Tier.EXPERT])


class Seldom(Table[Row]):
    """A table that is mostly without rows, in one transaction: nothing is looked for where nothing is."""

    def __init__(self, table: Table[Row], txn: lmdb.Transaction) -> None:
        """Look whether there are rows."""
        vars(self).update(vars(table))
        self._any = table.count(txn) > 0

    def get(self, txn: lmdb.Transaction, key: bytes) -> Row | None:
        """Return the row at `key`; see `Table.get`."""
        return super().get(txn, key) if self._any else None

    def put(self, txn: lmdb.Transaction, key: bytes, row: object, *, overwrite: bool = True) -> bool:
        """Write a row; see `Table.put`."""
        self._any = True
        return super().put(txn, key, row, overwrite=overwrite)

    def walk(
        self, txn: lmdb.Transaction, prefix: bytes = b"", after: bytes | None = None
    ) -> Iterator[tuple[bytes, Row]]:
        """Yield the rows below `prefix`; see `Table.walk`."""
        return super().walk(txn, prefix, after) if self._any else iter(())


class Counts:
    """How many claims each question and each agent has: read and written once a transaction."""

    def __init__(self, tables: Tables) -> None:
        """Begin without any."""
        self._tables = tables
        self._questions: dict[bytes, list[int]] = {}
        self._crowds: set[bytes] = set()
        """Questions whose counts, as they stood before, made a crowd."""
        self._agents: dict[bytes, int] = {}

    def question(self, txn: lmdb.Transaction, key: bytes, tier: Tier, by: int) -> None:
        """Count a claim of a tier (`by` 1) or uncount it (-1); `key` is that of its question."""
        counts = self._questions.get(key)
        if counts is None:
            row = self._tables.questions.get(txn, key)
            counts = self._questions[key] = list(_NONE_YET if row is None else row.by_tier)
            if is_crowd(counts):
                self._crowds.add(key)
        counts[tier] += by

    def agent(self, txn: lmdb.Transaction, agent_id: bytes, by: int) -> None:
        """Count a claim that an agent signed (`by` 1) or uncount it (-1)."""
        count = self._agents.get(agent_id)
        if count is None:
            count = self._tables.agents.get(txn, agent_id) or 0
        self._agents[agent_id] = count + by

    def flush(self, txn: lmdb.Transaction) -> None:
        """Write what was counted, in key order, before the transaction ends."""
        tables = self._tables
        tables.questions.put_all(txn, [(key, (each,)) for key, each in self._questions.items() if any(each)])
        tables.agents.put_all(txn, [(agent_id, count) for agent_id, count in self._agents.items() if count])
        for key, counts in self._questions.items():
            if not any(counts):
                tables.questions.delete(txn, key)
            self._escalate(txn, key, counts)
        for agent_id, count in self._agents.items():
            if not count:
                tables.agents.delete(txn, agent_id)

    def _escalate(self, txn: lmdb.Transaction, key: bytes, counts: Sequence[int]) -> None:
        """Note that a crowd stands alone at a question now, or that it does no longer."""
        if is_crowd(counts):
            self._tables.escalations.put(txn, key, None)
        elif key in self._crowds:
            self._tables.escalations.delete(txn, key)


class FoldTables(Tables):
    """The tables of a view in one transaction; `finish` belongs at its end."""

    def __init__(self, tables: Tables, txn: lmdb.Transaction, read: Mapping[int, ReadClaim]) -> None:
        """Stand for open tables; `read` are claims, by seq, whose records somebody has read already."""
        vars(self).update(vars(tables))
        self.read = read
        self.counts = Counts(tables)
        self.children = Seldom(tables.children, txn)
        self.held = Seldom(tables.held, txn)

    def finish(self, txn: lmdb.Transaction) -> None:
        """Write what is still to be written."""
        self.counts.flush(txn)
