"""Counters are written once a batch, and what stands there afterwards does not depend on the batches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import lmdb
import pytest

from stemedb.log import Record
from stemedb.model import Tier
from stemedb.model.records import RecordType, encode_assertion
from stemedb.store import View
from stemedb.store.fold_tables import CROWD_CLAIMS, FoldTables, Seldom
from stemedb.store.table import Table
from stemedb.store.tables import Tables
from tests.builders import SIGNERS, checked, number

CLAIMS = 60


@pytest.fixture
def env(tmp_path: Path) -> Iterator[lmdb.Environment]:
    env = lmdb.open(str(tmp_path), max_dbs=64)
    yield env
    env.close()


def test_counts_change_in_memory_and_are_written_at_the_end(env: lmdb.Environment) -> None:
    tables = Tables(env)
    with env.begin(write=True) as txn:
        tables.agents.put(txn, b"a", 1)
        tables.agents.put(txn, b"b", 1)
        folding = FoldTables(tables, txn, {})
        for agent, by in ((b"a", 1), (b"b", -1), (b"c", 1), (b"c", 1)):
            folding.counts.agent(txn, agent, by)
        folding.counts.question(txn, b"q", Tier.EXPERT, 1)
        assert [tables.agents.get(txn, each) for each in (b"a", b"b", b"c")] == [1, 1, None]
        folding.finish(txn)
        assert [tables.agents.get(txn, each) for each in (b"a", b"b", b"c")] == [2, None, 2]
        row = tables.questions.require(txn, b"q")
        assert row.by_tier == (0, 0, 0, 1, 0, 0)


@pytest.mark.parametrize(("tier", "by"), [(Tier.ANECDOTAL, -1), (Tier.CLINICAL, 1)])
def test_a_crowd_is_noted_until_it_is_smaller_or_not_alone(
    env: lmdb.Environment, tier: Tier, by: int
) -> None:
    tables = Tables(env)

    def count(tier: Tier, by: int) -> list[bytes]:
        with env.begin(write=True) as txn:
            folding = FoldTables(tables, txn, {})
            folding.counts.question(txn, b"q", tier, by)
            folding.finish(txn)
            return [key for key, _ in tables.escalations.walk(txn)]

    assert count(Tier.ANECDOTAL, CROWD_CLAIMS - 1) == []
    assert count(Tier.ANECDOTAL, 1) == [b"q"]
    assert count(Tier.COMMUNITY, 1) == [b"q"]
    assert count(tier, by) == []


def test_a_table_without_rows_shows_what_is_put_into_it(env: lmdb.Environment) -> None:
    table = Table("held", int)
    table.open(env)
    with env.begin(write=True) as txn:
        seldom = Seldom(table, txn)
        assert (seldom.get(txn, b"key"), list(seldom.walk(txn))) == (None, [])
        assert seldom.put(txn, b"key", 1)
        for each in (seldom, Seldom(table, txn)):
            assert (each.get(txn, b"key"), list(each.walk(txn))) == (1, [(b"key", 1)])


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
