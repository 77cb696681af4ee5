"""What every implementation of the `Log` protocol must do; runs on each of them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec
import pytest

from stemedb.errors import Invalid, Unavailable
from stemedb.limits import BATCH_CHANGES_MAX, LOG_PROOF_PAGE_MAX, RECORD_BYTES_MAX
from stemedb.log import (
    GENESIS_TYPE,
    Draft,
    Log,
    MemoryLog,
    Position,
    Record,
    chain_start,
    decode_genesis,
    next_chain,
    open_log,
)
from tests.log.helpers import SERVER_KEY, SMALL_SEGMENT_BYTES, check_all, drafts, fill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from stemedb.log import Clock

    Opener = Callable[[Clock], Log]


class Ticker:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Ticker:
    return Ticker()


@pytest.fixture(params=["local", "memory"])
def log(request: pytest.FixtureRequest, tmp_path: Path, clock: Ticker) -> Iterator[Log]:
    opened: Log
    if request.param == "local":
        opened = open_log(tmp_path, server_key=SERVER_KEY, segment_bytes=SMALL_SEGMENT_BYTES, clock=clock)
    else:
        opened = MemoryLog(server_key=SERVER_KEY, clock=clock)
    yield opened
    opened.close()


def test_begin_with_a_genesis(log: Log, clock: Ticker) -> None:
    (record,) = log.read(1, 10)
    assert (record.seq, record.type, record.recorded_at) == (1, GENESIS_TYPE, clock.now)
    genesis = decode_genesis(record.body)
    assert genesis.log_id == log.log_id
    assert len(log.log_id) == 16
    assert genesis.server_key == SERVER_KEY
    assert genesis.format == 1
    assert genesis.time == clock.now
    assert log.head().seq == 1


def test_append_gives_the_position(log: Log, clock: Ticker) -> None:
    clock.now += 5_000_000
    position = log.append([Draft(2, b"a"), Draft(255, b"")])
    assert position == Position(2, clock.now)
    assert log.read(2, 10) == [Record(2, clock.now, 2, b"a"), Record(3, clock.now + 1, 255, b"")]
    assert log.head()[::2] == (3, clock.now + 1)


def test_append_keeps_time_rising_when_the_clock_does_not(log: Log, clock: Ticker) -> None:
    before = log.head().time
    clock.now -= 60_000_000
    assert log.append([Draft(2, b"a"), Draft(2, b"b")]).recorded_at == before + 1
    assert log.append([Draft(2, b"c")]).recorded_at == before + 3


@pytest.mark.parametrize(
    "batch",
    [
        [],
        [Draft(1, b"a second genesis")],
        [Draft(0, b"")],
        [Draft(256, b"")],
        [Draft(2, bytes(RECORD_BYTES_MAX + 1))],
        [Draft(2, b"")] * (BATCH_CHANGES_MAX + 1),
        [Draft(2, bytes(RECORD_BYTES_MAX))] * 5,
    ],
    ids=["empty", "genesis", "type 0", "type 256", "long record", "many records", "long batch"],
)
def test_append_refuses_what_is_over_a_limit(log: Log, batch: list[Draft]) -> None:
    head = log.head()
    with pytest.raises(Invalid):
        log.append(batch)
    assert log.head() == head
    assert log.append([Draft(2, b"")]).first_seq == head.seq + 1


def test_append_takes_what_is_at_a_limit(log: Log) -> None:
    log.append([Draft(2, bytes(RECORD_BYTES_MAX))] * 4)
    log.append([Draft(2, b"")] * BATCH_CHANGES_MAX)
    assert log.head().seq == 1 + 4 + BATCH_CHANGES_MAX
    assert log.read(2, 1)[0].body == bytes(RECORD_BYTES_MAX)
    assert [record.body for record in log.read(6, 10_000)] == [b""] * BATCH_CHANGES_MAX


def test_read_is_gapless_from_anywhere(log: Log) -> None:
    fill(log, batches=60)
    check_all(log, 181)
    everything = [record for seq in range(1, 182, 20) for record in log.read(seq, 20)]
    assert [record.seq for record in everything] == list(range(1, 182))
    for seq in range(1, 182):
        assert log.read(seq, 1) == [everything[seq - 1]]


def test_read_beyond_the_head_gives_nothing(log: Log) -> None:
    assert log.read(2, 10) == []
    assert log.read(1000, 10) == []
    assert log.read(1, 0) == []
    with pytest.raises(Invalid):
        log.read(0, 10)


def test_read_is_bounded_but_never_stuck(log: Log) -> None:
    for _ in range(3):
        log.append([Draft(2, bytes(RECORD_BYTES_MAX))] * 4)
    seq = 2
    while records := log.read(seq, 1000):
        assert sum(len(record.body) for record in records) <= 12 * RECORD_BYTES_MAX
        seq = records[-1].seq + 1
    assert seq == log.head().seq + 1


def test_hashes_give_the_chain(log: Log) -> None:
    fill(log, batches=30)
    kept = log.head()
    fill(log, batches=30)
    chain = chain_start(log.log_id)
    for seq, digest in enumerate(log.hashes(1, log.head().seq), start=1):
        chain = next_chain(chain, digest)
        if seq == kept.seq:
            assert chain == kept.chain
    assert chain == log.head().chain
    assert log.hashes(7, 7) == log.hashes(1, 10)[6:7]


@pytest.mark.parametrize(("from_seq", "to_seq"), [(0, 1), (2, 1), (1, 3), (1, LOG_PROOF_PAGE_MAX + 1)])
def test_hashes_refuse_a_wrong_range(log: Log, from_seq: int, to_seq: int) -> None:
    log.append([Draft(2, b"")])
    if to_seq > LOG_PROOF_PAGE_MAX:
        for _ in range(3):
            log.append([Draft(2, b"")] * BATCH_CHANGES_MAX)
    with pytest.raises(Invalid):
        log.hashes(from_seq, to_seq)


def test_wait_returns_as_soon_as_it_is_there(log: Log) -> None:
    assert log.wait(0, 0)
    assert not log.wait(1, 0.001)
    answers: list[bool] = []
    waiter = threading.Thread(target=lambda: answers.append(log.wait(1, 60)))
    waiter.start()
    log.append([Draft(2, b"")])
    waiter.join(60)
    assert answers == [True]


def test_close_wakes_waiters_and_refuses_the_rest(log: Log) -> None:
    answers: list[bool] = []
    started = threading.Event()

    def wait() -> None:
        started.set()
        try:
            answers.append(log.wait(1, 60))
        except Unavailable:  # closed before it began to wait
            answers.append(False)

    waiter = threading.Thread(target=wait)
    waiter.start()
    started.wait()
    log.close()
    waiter.join(60)
    assert answers == [False]
    log.close()
    refused: list[Callable[[], object]] = [
        log.head,
        lambda: log.append([Draft(2, b"")]),
        lambda: log.read(1, 1),
        lambda: log.hashes(1, 1),
        lambda: log.wait(0, 0),
    ]
    for call in refused:
        with pytest.raises(Unavailable):
            call()


def test_append_from_many_threads_leaves_no_gap(log: Log) -> None:
    positions: list[Position] = []

    def work() -> None:
        positions.extend(log.append([Draft(2, b"x"), Draft(3, b"y")]) for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(position.first_seq for position in positions) == list(range(2, 162, 2))
    records = log.read(2, 1000)
    assert [record.type for record in records] == [2, 3] * 80
    for position in positions:
        assert records[position.first_seq - 2].recorded_at == position.recorded_at


def test_read_beside_appends_sees_only_whole_batches_in_order(log: Log) -> None:
    done = threading.Event()
    faults: list[str] = []

    def read() -> None:
        seq = 1
        while not (done.is_set() and seq > log.head().seq):
            records = log.read(seq, 50)
            expected = list(range(seq, seq + len(records)))
            if [record.seq for record in records] != expected:
                faults.append(f"gap at {seq}")
                return
            if any(record.body != drafts(record.seq, 1)[0].body for record in records if record.seq > 1):
                faults.append(f"other bytes at {seq}")
                return
            seq += len(records)
            log.wait(seq - 1, 0.01)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    fill(log, batches=200)
    done.set()
    for reader in readers:
        reader.join(60)
    assert faults == []


def test_erase_keeps_place_time_and_hash(log: Log) -> None:
    fill(log, 4)
    before, head, hashes = log.read(1, 100), log.head(), log.hashes(1, 13)
    log.erase([3, 7])
    log.erase([7])
    after = log.read(1, 100)
    assert (log.head(), log.hashes(1, 13)) == (head, hashes)
    assert [record.seq for record in after if record.redacted] == [3, 7]
    assert after[2] == msgspec.structs.replace(before[2], body=b"", redacted=True)
    assert [record for record in after if not record.redacted] == [
        record for record in before if record.seq not in (3, 7)
    ]
    assert log.append(drafts(14, 1)).first_seq == 14


def test_erase_refuses_what_cannot_go(log: Log) -> None:
    fill(log, 1)
    for seq in (-1, 0, 1, 5):
        with pytest.raises(Invalid):
            log.erase([2, seq])
    assert not log.read(2, 1)[0].redacted
    log.close()
    with pytest.raises(Unavailable):
        log.erase([2])
