"""Audits of questions: seen by whoever looks, kept for a while and within bounds, never in anybody's way."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import lmdb
import msgspec
import pytest

from stemedb import limits
from stemedb.errors import Unavailable
from stemedb.store.local import ASIDE_NAME, AuditRow, LocalStore

DAY_US = 24 * 3600 * 1_000_000


def row(number: int, *, agent: str = "", at_us: int | None = None, claims: int = 1) -> AuditRow:
    at = time.time_ns() // 1000 if at_us is None else at_us
    contributing = tuple((bytes([number % 256, each]) * 16, 1 / claims) for each in range(claims))
    parameters = (("subject", (f"subject {number}",)), ("lens", ("recency",)))
    return AuditRow(
        at, agent, "query", parameters, number, at // 1_000_000, "ab" * 16, contributing, claims, indexed=True
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    opened = LocalStore(tmp_path / "local")
    yield opened
    opened.close()


def put(store: LocalStore, *rows: AuditRow) -> list[bytes]:
    """Hand audits over, and see the last one."""
    ids = [store.put(each) for each in rows]
    assert None not in ids
    assert store.audit(ids[-1] or b"")
    return [each for each in ids if each]


def listed(store: LocalStore, agent: str | None = None, from_us: int = 0, to_us: int = 2**63) -> list[bytes]:
    return [audit_id for audit_id, _ in store.audits(agent, from_us, to_us, 1000)]


def test_put_then_read(store: LocalStore) -> None:
    one = row(1, agent="me", claims=3)
    (audit_id,) = put(store, one)
    assert len(audit_id) == 32
    assert store.audit(audit_id) == one
    assert store.audit(bytes(32)) is None


def test_audits_come_newest_first_within_bounds(store: LocalStore) -> None:
    now = time.time_ns() // 1000
    ids = put(store, *[row(n, agent="me" if n % 2 else "you", at_us=now + n) for n in range(10)])
    assert listed(store) == ids[::-1]
    assert listed(store, "me") == ids[9::-2]
    assert listed(store, "you") == ids[8::-2]
    assert listed(store, "m") == []
    assert listed(store, None, now + 3, now + 5) == ids[5:2:-1]
    assert listed(store, "me", now + 3, now + 5) == [ids[5], ids[3]]
    first = store.audits("me", 0, 2**63, 2)
    assert [each for each, _ in first] == [ids[9], ids[7]]
    assert [each for each, _ in store.audits("me", 0, 2**63, 9, after=first[-1][0])] == [
        ids[5],
        ids[3],
        ids[1],
    ]
    assert [each for each, _ in store.audits(None, 0, 2**63, 2, after=ids[4])] == [ids[3], ids[2]]


def test_an_answer_that_is_given_again_is_found_by_its_claims(store: LocalStore) -> None:
    (first,) = put(store, row(1, claims=2))
    again = put(store, *[msgspec.structs.replace(row(1, claims=2), first=first) for _ in range(3)])
    (other,) = put(store, row(1, claims=2))
    for each in (0, 1):
        assert store.audits_of([bytes([1, each]) * 16], 9) == [other, *again[::-1], first]
    assert store.audits_of([bytes([1, 0]) * 16], 2) == [other, again[-1]]
    assert [each.contributing_count for each in map(store.audit, again) if each] == [2, 2, 2]


def test_audits_of_a_claim(store: LocalStore) -> None:
    ids = put(store, row(1, claims=2), row(2), row(1))
    claim_id = bytes([1, 0]) * 16
    assert store.audits_of([claim_id], 9) == sorted([ids[0], ids[2]])
    assert store.audits_of([bytes([1, 1]) * 16], 9) == [ids[0]]
    assert store.audits_of([claim_id, bytes([2, 0]) * 16], 9) == sorted(ids)
    assert store.audits_of([claim_id, bytes([2, 0]) * 16], 2) == sorted(ids)[:2]


def test_audits_are_there_after_a_restart(tmp_path: Path) -> None:
    first = LocalStore(tmp_path / "local")
    ids = [first.put(row(n)) for n in range(50)]
    first.close()
    first.close()
    assert first.put(row(51)) is None
    second = LocalStore(tmp_path / "local")
    assert listed(second) == sorted(each for each in ids if each)
    second.close()


def test_old_audits_leave(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "local")
    now = time.time_ns() // 1000
    ids = put(store, row(1, at_us=now - 31 * DAY_US), row(2, at_us=now - 29 * DAY_US), row(3))
    (last,) = put(store, row(4))
    assert listed(store) == [last, ids[2], ids[1]]
    assert store.audits_of([bytes([1, 0]) * 16], 9) == []
    store.close()


def test_the_file_stays_within_its_bound(tmp_path: Path) -> None:
    dropped: list[int] = []
    store = LocalStore(tmp_path / "local", on_drop=dropped.append, bytes_max=16 * 1024 * 1024)
    for batch in range(60):
        put(
            store,
            *[row(n, agent=f"agent {n % 7}", claims=n % 40) for n in range(batch * 100, batch * 100 + 100)],
        )
    assert not dropped
    assert (tmp_path / "local" / "data.mdb").stat().st_size <= 16 * 1024 * 1024
    kept = store.audits(None, 0, 2**63, 10_000)
    assert 1000 < len(kept) < 6000
    assert kept[0][1].seq == 5999
    numbers = [each.seq for _, each in kept]
    assert numbers == sorted(numbers, reverse=True)
    by_agent = sum(len(store.audits(f"agent {n}", 0, 2**63, 10_000)) for n in range(7))
    assert by_agent == len(kept)
    store.close()


def test_put_drops_and_counts_where_the_thread_falls_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped: list[int] = []
    store = LocalStore(tmp_path / "local", on_drop=dropped.append)
    monkeypatch.setattr(limits, "AUDIT_QUEUE_MAX", 10)
    release = threading.Event()
    real = store._write  # noqa: SLF001 - a disk that takes its time
    monkeypatch.setattr(store, "_write", lambda batch: (release.wait(), real(batch)))
    put_all = [store.put(row(n)) for n in range(50)]
    assert put_all.count(None) == sum(dropped) >= 20
    release.set()
    store.close()
    assert sum(each is not None for each in put_all) + sum(dropped) == 50


def test_who_looks_does_not_wait_for_more_to_come(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "AUDIT_GATHER_S", 3600.0)
    put(store, row(1))
    for number in range(2, 20):
        audit_id = store.put(row(number))
        assert audit_id in listed(store)
    assert store.put(row(20)) in store.audits_of([bytes([20, 0]) * 16], 9)


def test_who_looks_waits_for_a_slow_disk_and_who_asks_does_not(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, begun = threading.Event(), threading.Event()
    real = store._write  # noqa: SLF001 - a disk that takes its time

    def write(batch: list[tuple[bytes, AuditRow]]) -> None:
        begun.set()
        release.wait()
        real(batch)

    monkeypatch.setattr(store, "_write", write)
    first = store.put(row(1))
    assert begun.wait(30)
    second = store.put(row(2))  # while the disk stands still
    found: list[bytes] = []
    looking = threading.Thread(target=lambda: found.extend(listed(store)))
    looking.start()
    release.set()
    looking.join()
    assert set(found) == {first, second}


def test_a_disk_that_stands_still_is_said_and_not_taken_for_no_audits(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "AUDIT_WAIT_S_MAX", 0.05)
    release = threading.Event()
    real = store._write  # noqa: SLF001 - a disk that stands still
    monkeypatch.setattr(store, "_write", lambda batch: (release.wait(), real(batch)))
    audit_id = store.put(row(1))
    try:
        for look in (
            lambda: store.audit(audit_id or b""),
            lambda: listed(store),
            lambda: store.audits_of([bytes([1, 0]) * 16], 9),
        ):
            with pytest.raises(Unavailable) as refused:
                look()
            assert refused.value.reason == "not_yet_visible"
    finally:
        release.set()


def test_audits_that_could_not_be_written_hold_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped: list[int] = []
    store = LocalStore(tmp_path / "local", on_drop=dropped.append)

    def fail(_batch: object) -> None:
        raise lmdb.DiskError("no space left on device")

    monkeypatch.setattr(store, "_write", fail)
    audit_id = store.put(row(1))
    assert store.audit(audit_id or b"") is None
    assert dropped == [1]
    store.close()


@pytest.mark.parametrize("damage", ["garbage", "flipped"])
def test_a_damaged_store_is_put_aside(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "local"
    store = LocalStore(folder)
    put(store, *[row(n) for n in range(20)])
    store.close()
    data = bytearray((folder / "data.mdb").read_bytes())
    if damage == "garbage":
        data[:] = b"nonsense" * (len(data) // 8)
    else:
        place = data.rindex(b"subject 7")
        data[place] ^= 1
    (folder / "data.mdb").write_bytes(data)
    store = LocalStore(folder)
    assert listed(store) == []
    (audit_id,) = put(store, row(1))
    assert listed(store) == [audit_id]
    store.close()
    assert (tmp_path / ASIDE_NAME / "data.mdb").read_bytes() == data
