"""Reading the view as of one moment: lookups and walks inside one short read transaction."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from types import TracebackType

import lmdb

from stemedb.errors import Corrupt
from stemedb.model.claim import Signature
from stemedb.store import keys, rows
from stemedb.store.fold import Tables
from stemedb.store.rows import ClaimRow, Endorsement, ViewState

STATE_KEY = b"state"


class FoundClaim:
    """A claim met on a walk: its key, and its row decoded once."""

    __slots__ = ("endorsed", "key", "row")

    def __init__(self, key: bytes, value: rows.Buffer) -> None:
        """Decode `value`; raises `Corrupt` when its checksum does not fit."""
        self.key = key
        self.row: ClaimRow = rows.decode_claim(key, value)
        self.endorsed = bool(rows.claim_flags(value) & rows.FLAG_ENDORSED)


class Snapshot:
    """One moment of the view. Use as a context manager and leave it soon: it pins freed pages."""

    def __init__(self, env: lmdb.Environment, tables: Tables) -> None:
        """Open the read transaction."""
        self._tables = tables
        self._txn = env.begin(buffers=True)

    def __enter__(self) -> Snapshot:  # noqa: PYI034 - Self came with Python 3.11
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the read transaction."""
        self._txn.abort()

    @property
    def state(self) -> ViewState:
        """Where the fold stood at this moment."""
        return rows.decode_state(STATE_KEY, self._get("meta", self._tables.meta, STATE_KEY))

    def recorded_at(self, seq: int) -> int:
        """Return when the record `seq` was accepted, in microseconds; `seq` is from 1 to `applied_seq`."""
        key = keys.u64(seq)
        return keys.number(rows.unseal("moments", key, self._get("moments", self._tables.moments, key)))

    def seq_at(self, moment_us: int) -> int:
        """Return the last seq accepted by `moment_us` (microseconds), 0 when there was none.

        `recorded_at` grows with `seq`, so this is a binary search.
        """
        return bisect_right(range(1, self.state.applied_seq + 1), moment_us, key=self.recorded_at)

    def claim(self, claim_id: bytes) -> FoundClaim | None:
        """Return the claim with this id, if there is one."""
        key = self.claim_key(claim_id)
        if key is None:
            return None
        return FoundClaim(key, self._get("claims", self._tables.claims, key))

    def claim_key(self, claim_id: bytes) -> bytes | None:
        """Return the key of the claim with this id, if there is one."""
        value = self._txn.get(claim_id, db=self._tables.ids)
        return None if value is None else bytes(rows.unseal("ids", claim_id, value))

    def walk(
        self, subject: str, predicate: str | None, after_key: bytes | None = None
    ) -> Iterator[FoundClaim]:
        """Yield the claims of a question in reply order, from behind `after_key` where given.

        All predicates, in byte order, where `predicate` is None.
        """
        prefix = keys.question_prefix(subject, predicate)
        with self._txn.cursor(db=self._tables.claims) as cursor:
            found = cursor.set_range(prefix if after_key is None else after_key)
            if found and after_key is not None and cursor.key() == after_key:
                found = cursor.next()
            while found:
                key = bytes(cursor.key())
                if not key.startswith(prefix):
                    return
                yield FoundClaim(key, cursor.value())
                found = cursor.next()

    def endorsements(self, claim_seq: int) -> Iterator[tuple[Signature, Endorsement]]:
        """Yield the later signatures of a claim, by agent, each with the row that says when it came."""
        prefix = keys.u64(claim_seq)
        with self._txn.cursor(db=self._tables.endorsements) as cursor:
            found = cursor.set_range(prefix)
            while found:
                key = bytes(cursor.key())
                if not key.startswith(prefix):
                    return
                row = rows.decode_endorsement(key, cursor.value())
                yield Signature(key[len(prefix) :], row.signature, row.timestamp), row
                found = cursor.next()

    def _get(self, table: str, db: lmdb._Database, key: bytes) -> rows.Buffer:
        """Return a value that must be there; raises `Corrupt` when it is not."""
        value = self._txn.get(key, db=db)
        if value is None:
            detail = f"view table {table!r} lacks key {key.hex()}"
            raise Corrupt(detail, code="corrupt_view", ways_out=(rows.REBUILD,))
        return value
