"""The view: a pure fold that checks what it reads."""

from __future__ import annotations

import random
from contextlib import closing
from pathlib import Path
from typing import Any

import lmdb
import pytest

from stemedb.errors import Corrupt
from stemedb.log import Record
from stemedb.model.records import EndorsementRecord, RecordType, encode_assertion, encode_body
from stemedb.store import ClaimRow, View
from stemedb.store.copying import digest_of
from stemedb.store.rows import ENDORSED
from tests.builders import SIGNERS, checked, number

LOG_ID = bytes(16)


def assertion_record(seq: int, **fields: Any) -> Record:  # noqa: ANN401 - any field of an assertion
    claim = checked(**fields)
    return Record(seq, seq * 10, RecordType.ASSERTION, encode_assertion(claim.canonical, claim.signatures))


def endorsement_record(seq: int, signer: int, **fields: Any) -> Record:  # noqa: ANN401
    claim = checked(SIGNERS[signer], **fields)
    body = encode_body(EndorsementRecord(claim.id, claim.signatures))
    return Record(seq, seq * 10, RecordType.ENDORSEMENT, body)


@pytest.fixture
def view(tmp_path: Path) -> View:
    return View(tmp_path / "view")


def walk(view: View, subject: str, predicate: str | None) -> list[ClaimRow]:
    """Return the claims one by one, having looked that they are the same in lists."""
    with view.snapshot() as snapshot:
        found = [row for _, row in snapshot.walk(subject, predicate)]
        assert [row for rows in snapshot.claims(subject, predicate) for row in rows] == found
        return found


def test_walk_is_newest_first_then_smaller_id(view: View) -> None:
    records = [assertion_record(seq, object=number(seq), timestamp=seq % 3) for seq in range(1, 10)]
    view.fold(LOG_ID, records)
    rows = walk(view, "Tesla_Inc", "has_revenue")
    assert len(rows) == 9
    assert rows == sorted(rows, key=lambda row: (-row.assertion.timestamp, row.id))


def test_walk_of_a_long_question(view: View) -> None:
    view.fold(LOG_ID, [assertion_record(seq, object=number(seq), timestamp=seq) for seq in range(1, 701)])
    assert [row.seq for row in walk(view, "Tesla_Inc", "has_revenue")] == list(range(700, 0, -1))


def test_walk_stays_inside_its_question(view: View) -> None:
    names = [("a", "p"), ("a", "pq"), ("ab", "p"), ("a", "o"), ("b", "p")]
    view.fold(
        LOG_ID, [assertion_record(seq, subject=s, predicate=p) for seq, (s, p) in enumerate(names, start=1)]
    )
    found = [(each.assertion.subject, each.assertion.predicate) for each in walk(view, "a", None)]
    assert found == [("a", "o"), ("a", "p"), ("a", "pq")]
    assert len(walk(view, "a", "p")) == 1
    assert walk(view, "c", None) == []


def test_the_longest_key_fits(view: View) -> None:
    view.fold(LOG_ID, [assertion_record(1, subject="é" * 128, predicate="x" * 128)])
    assert len(walk(view, "é" * 128, "x" * 128)) == 1


def test_walk_goes_on_behind_a_key(view: View) -> None:
    view.fold(LOG_ID, [assertion_record(seq, object=number(seq)) for seq in range(1, 8)])
    with view.snapshot() as snapshot:
        everything = list(snapshot.walk("Tesla_Inc", "has_revenue"))
        rest = list(snapshot.walk("Tesla_Inc", "has_revenue", everything[2][0]))
    assert rest == everything[3:]


def test_fold_gives_the_same_state_however_it_is_cut(tmp_path: Path) -> None:
    records = [assertion_record(seq, object=number(seq % 20)) for seq in range(1, 60)]
    records += [endorsement_record(60 + index, index % 8, object=number(index)) for index in range(40)]
    digests = set()
    for number_of_cuts in (0, 3, 98):
        view = View(tmp_path / str(number_of_cuts))
        cuts = sorted(random.Random(number_of_cuts).sample(range(1, 99), number_of_cuts))
        for start, end in zip([0, *cuts], [*cuts, 99], strict=True):
            view.fold(LOG_ID, records[start:end])
        assert (view.applied_seq, view.claims_count) == (99, 20)
        digests.add(view.digest())
        view.close()
    assert len(digests) == 1


def test_fold_keeps_each_agents_first_signature(view: View) -> None:
    view.fold(
        LOG_ID,
        [assertion_record(1), endorsement_record(2, 1), endorsement_record(3, 1), endorsement_record(4, 0)],
    )
    with view.snapshot() as snapshot:
        found = snapshot.claim(checked().id)
        assert found is not None
        later = list(snapshot.endorsements(found))
    assert found.flags & ENDORSED
    assert [(signature.agent_id, row.seq) for signature, row in later] == [(SIGNERS[1].agent_id, 2)]


def test_fold_never_fails_on_what_the_writer_should_have_refused(view: View) -> None:
    unknown_kind = Record(4, 40, 255, b"\xc1 not even MessagePack")
    view.fold(LOG_ID, [endorsement_record(1, 1), assertion_record(2), assertion_record(3), unknown_kind])
    assert (view.applied_seq, view.claims_count) == (4, 1)


def test_seq_and_time_lead_to_each_other(view: View) -> None:
    view.fold(LOG_ID, [assertion_record(seq, object=number(seq)) for seq in range(1, 6)])
    with view.snapshot() as snapshot:
        assert snapshot.recorded_at(3) == 30
        assert [snapshot.seq_at(moment) for moment in (9, 10, 39, 40, 1000)] == [0, 1, 3, 4, 5]


def test_reopening_keeps_the_state(tmp_path: Path) -> None:
    view = View(tmp_path)
    assert view.state is None
    view.fold(LOG_ID, [assertion_record(1)])
    digest, state = view.digest(), view.state
    view.close()
    again = View(tmp_path)
    assert (again.digest(), again.state) == (digest, state)


def test_wait_for_says_whether_it_came(view: View) -> None:
    assert view.wait_for(0, 0)
    assert not view.wait_for(1, 0.01)
    view.fold(LOG_ID, [assertion_record(1)])
    assert view.wait_for(1, 0)


@pytest.mark.parametrize("table", ["claims", "ids", "endorsements", "moments", "meta", "format"])
def test_a_changed_value_is_named_when_it_is_read(tmp_path: Path, table: str) -> None:
    view = View(tmp_path)
    view.fold(LOG_ID, [assertion_record(1), endorsement_record(2, 1)])
    view.close()
    with lmdb.open(str(tmp_path), max_dbs=32, lib_version=0) as env:
        db = env.open_db(table.encode())
        with env.begin(write=True) as txn:
            key, value = next(iter(txn.cursor(db=db)))
            txn.put(key, value[:1] + bytes([value[1] ^ 1]) + value[2:], db=db)
    with pytest.raises(Corrupt) as refused:
        read_everything(View(tmp_path))
    assert refused.value.reason in {"corrupt_view", "view_format"}
    assert refused.value.ways_out


def read_everything(view: View) -> None:
    with view.snapshot() as snapshot:
        _ = snapshot.state, snapshot.recorded_at(1)
        found = snapshot.claim(checked().id)
        assert found is not None
        list(snapshot.endorsements(found))


def test_a_file_that_is_no_view_is_named(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(b"x" * 8192)
    with pytest.raises(Corrupt, match="cannot be read"):
        View(tmp_path)


def test_a_newer_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemedb.store.environment.FORMAT_VERSION", 2)
    View(tmp_path).close()
    monkeypatch.undo()
    with pytest.raises(Corrupt, match="format 2"):
        View(tmp_path)


def test_a_table_that_is_not_there_yet_changes_no_digest(tmp_path: Path) -> None:
    with closing(View(tmp_path)) as view:
        view.fold(bytes(16), [Record(1, 5, 1, b"")])
        digest = view.digest()
    with closing(lmdb.open(str(tmp_path), lib_version=0, max_dbs=40)) as env:
        quotas = env.open_db(b"quotas")
        with env.begin(write=True) as txn:
            txn.drop(quotas)
    assert digest_of(tmp_path, live=False) == digest_of(tmp_path, live=True)
    assert digest_of(tmp_path, live=False)[1] == digest
