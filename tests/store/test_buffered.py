"""Counters are written once a batch, and what stands there afterwards does not depend on the batches."""

from __future__ import annotations

from pathlib import Path

import lmdb
import pytest

from stemedb.log import Record
from stemedb.model.records import RecordType, encode_assertion
from stemedb.store import View
from stemedb.store.buffered import Buffered
from stemedb.store.table import Table
from tests.builders import SIGNERS, checked, number

CLAIMS = 60


def test_rows_change_in_memory_and_are_written_at_the_end(tmp_path: Path) -> None:
    env = lmdb.open(str(tmp_path), max_dbs=1)
    table = Table("counts", int)
    table.open(env)
    with env.begin(write=True) as txn:
        for key, count in ((b"a", 1), (b"b", 2), (b"c", 3)):
            table.put(txn, key, count)
        buffered = Buffered(table)
        assert buffered.put(txn, b"a", 7)
        assert buffered.get(txn, b"a") == 7
        assert not buffered.put(txn, b"b", 9, overwrite=False)
        assert buffered.put(txn, b"new", 5, overwrite=False)
        assert buffered.delete(txn, b"c")
        assert not buffered.delete(txn, b"c")
        assert not buffered.delete(txn, b"never")
        assert buffered.get(txn, b"c") is None
        assert [table.get(txn, key) for key in (b"a", b"b", b"c", b"new")] == [1, 2, 3, None]
        buffered.flush(txn)
        assert [table.get(txn, key) for key in (b"a", b"b", b"c", b"new")] == [7, 2, None, 5]
    env.close()


@pytest.mark.parametrize("batch", [7, CLAIMS])
def test_the_state_does_not_depend_on_the_batches(tmp_path: Path, batch: int) -> None:
    records = _records()
    one_by_one, together = View(tmp_path / "one"), View(tmp_path / "many")
    for record in records:
        one_by_one.fold(bytes(16), [record])
    for first in range(0, CLAIMS, batch):
        together.fold(bytes(16), records[first : first + batch])
    assert together.digest() == one_by_one.digest()
    with together.snapshot() as snapshot:
        assert sum(snapshot.question("s0", "has_revenue").by_tier) == CLAIMS // 4
        assert snapshot.agent_claims_count(SIGNERS[0].agent_id) == CLAIMS // 3
    one_by_one.close()
    together.close()


def _records() -> list[Record]:
    return [_record(at) for at in range(CLAIMS)]


def _record(at: int) -> Record:
    claim = checked(SIGNERS[at % 3], subject=f"s{at % 4}", object=number(at), timestamp=at)
    body = encode_assertion(claim.canonical, claim.signatures)
    return Record(at + 1, 1_000_000 + at, RecordType.ASSERTION, body)
