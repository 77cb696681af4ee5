"""The engine on real files: durable first, one truth about races, refusals that change nothing."""

from __future__ import annotations

import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from stemedb.engine import CREATED, ENDORSED, EXISTS, Checked, Engine, EngineSettings, Outcome, open_engine
from stemedb.engine.pending import Result
from stemedb.engine.replay import catch_up
from stemedb.engine.writer import Writer
from stemedb.errors import BadSettings, Corrupt, Invalid, Locked, StorageFailed, Unavailable, Unprocessable
from stemedb.log import Draft, MemoryLog
from stemedb.model import SignedAssertion
from stemedb.store import View
from stemedb.telemetry import Telemetry
from tests.builders import SIGNERS, checked, number, signed

Open = Callable[..., Engine]


def settings_in(folder: Path, **changes: object) -> EngineSettings:
    plain = EngineSettings(folder / "wal", folder / "db", folder / "keys", 1 << 20, disk_floor_mb=1)
    return plain._replace(**changes)  # type: ignore[arg-type]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Open]:
    running: list[Engine] = []

    def start(**changes: object) -> Engine:
        running.append(open_engine(settings_in(tmp_path, **changes)))
        return running[-1]

    yield start
    for engine in running:
        engine.close()


def outcomes_of(results: list[Result]) -> list[Outcome]:
    assert all(isinstance(each, Outcome) for each in results), results
    return [each for each in results if isinstance(each, Outcome)]


def test_submit_tells_what_became_of_each(start: Open) -> None:
    engine = start()
    first = checked(SIGNERS[0])
    second = checked(SIGNERS[1])
    assert engine.submit([first]) == [Outcome(first.id, 2, CREATED, 2)]
    assert engine.submit([first]) == [Outcome(first.id, 2, EXISTS, 2)]
    assert engine.submit([second]) == [Outcome(first.id, 2, ENDORSED, 3)]
    assert engine.submit([second, first]) == [Outcome(first.id, 2, EXISTS, 3)] * 2
    assert engine.submit([]) == []
    assert engine.view.claims_count == 1


def test_submit_decides_repeats_inside_one_batch_in_order(start: Open) -> None:
    engine = start()
    one, endorsing, other = checked(SIGNERS[0]), checked(SIGNERS[1], SIGNERS[0]), checked(object=number(2))
    outcomes = outcomes_of(engine.submit([one, one, endorsing, endorsing, other]))
    assert [(each.status, each.seq, each.position) for each in outcomes] == [
        (CREATED, 2, 2),
        (EXISTS, 2, 2),
        (ENDORSED, 2, 3),
        (EXISTS, 2, 3),
        (CREATED, 4, 4),
    ]


def test_racing_writers_make_each_claim_once(start: Open) -> None:
    engine = start()
    claims = [checked(object=number(index)) for index in range(40)]
    outcomes: list[list[Outcome]] = [[] for _ in range(8)]

    def write(mine: list[Outcome]) -> None:
        mine.extend(engine.submit_one(claim) for claim in claims)

    threads = [threading.Thread(target=write, args=(mine,)) for mine in outcomes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statuses = [outcome.status for mine in outcomes for outcome in mine]
    assert statuses.count(CREATED) == len(claims)
    assert statuses.count(EXISTS) == 7 * len(claims)
    assert engine.log.head().seq == 1 + len(claims)
    assert len({(outcome.id, outcome.seq) for mine in outcomes for outcome in mine}) == len(claims)


def test_what_is_not_true_is_refused(start: Open) -> None:
    engine = start()
    good = signed()
    with pytest.raises(Invalid, match="at least one signature"):
        engine.take(SignedAssertion(good.assertion), None)
    with pytest.raises(Unprocessable, match="is not this content's"):
        engine.take(good, bytes(32))
    by_another = msgspec.structs.replace(good.signatures[0], agent_id=SIGNERS[1].agent_id)
    of_another, too_many, genuine = engine.verify(
        [
            engine.take(SignedAssertion(good.assertion, signed(object=number(1)).signatures), None),
            engine.take(SignedAssertion(good.assertion, (*good.signatures, by_another)), None),
            engine.take(good, None),
        ]
    )
    assert isinstance(of_another, Unprocessable)
    assert isinstance(too_many, Unprocessable)
    assert "/signatures/1" in str(too_many)
    assert genuine == checked()
    assert engine.log.head().seq == 1


def test_of_an_agents_signatures_in_a_request_the_first_is_kept(start: Open) -> None:
    once, again = signed(SIGNERS[0], at=5), signed(SIGNERS[0], at=6)
    engine = start()
    both = engine.take(SignedAssertion(once.assertion, once.signatures + again.signatures), None)
    (found,) = engine.verify([both])
    assert isinstance(found, Checked)
    assert found.signatures == once.signatures


def test_unsafe_mode_takes_claims_without_signature_but_none_that_are_wrong(start: Open) -> None:
    engine = start(unsafe_skip_signatures=True)
    unsigned, wrong = engine.verify(
        [
            engine.take(SignedAssertion(signed().assertion), None),
            engine.take(SignedAssertion(signed().assertion, signed(object=number(1)).signatures), None),
        ]
    )
    assert isinstance(unsigned, Checked)
    assert isinstance(wrong, Unprocessable)
    assert outcomes_of(engine.submit([unsigned]))[0].status == CREATED


def test_a_deleted_view_comes_back_the_same(start: Open, tmp_path: Path) -> None:
    engine = start()
    engine.submit([checked(object=number(index % 50), timestamp=index) for index in range(300)])
    engine.submit([checked(SIGNERS[index % 8], timestamp=index, object=number(index)) for index in range(50)])
    digest = engine.view.digest()
    engine.close()
    shutil.rmtree(tmp_path / "db")
    assert start().view.digest() == digest


def test_a_view_behind_the_log_catches_up(start: Open, tmp_path: Path) -> None:
    engine = start()
    engine.submit([checked()])
    engine.close()
    shutil.copytree(tmp_path / "db", tmp_path / "old")
    engine = start()
    engine.submit([checked(object=number(2)), checked(SIGNERS[3])])
    digest = engine.view.digest()
    engine.close()
    shutil.rmtree(tmp_path / "db")
    (tmp_path / "old").rename(tmp_path / "db")
    assert start().view.digest() == digest


def test_a_view_of_another_log_is_refused(tmp_path: Path, start: Open) -> None:
    other = settings_in(tmp_path / "other")
    open_engine(other).close()
    start().close()
    with pytest.raises(Corrupt) as refused:
        open_engine(settings_in(tmp_path)._replace(db_dir=other.db_dir))
    assert refused.value.reason == "foreign_view"
    assert refused.value.ways_out


def test_a_view_that_knows_more_than_the_log_is_refused(tmp_path: Path, start: Open) -> None:
    start().close()
    shutil.copytree(tmp_path / "wal", tmp_path / "old")
    engine = start()
    engine.submit([checked()])
    engine.close()
    shutil.rmtree(tmp_path / "wal")
    (tmp_path / "old").rename(tmp_path / "wal")
    with pytest.raises(Corrupt):
        start()


def test_one_engine_a_folder(tmp_path: Path, start: Open) -> None:
    start()
    with pytest.raises(Locked, match="in use"):
        open_engine(settings_in(tmp_path))
    with pytest.raises(Locked, match="in use"):
        open_engine(settings_in(tmp_path)._replace(wal_dir=tmp_path / "wal2"))


def test_a_refused_start_lets_go_of_what_it_took(tmp_path: Path) -> None:
    good = settings_in(tmp_path)
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "server.key").write_text("not a key")
    with pytest.raises(Corrupt, match="does not hold a key"):
        open_engine(good)
    (tmp_path / "keys" / "server.key").unlink()
    open_engine(good).close()


def test_files_are_for_the_owner_only(start: Open, tmp_path: Path) -> None:
    start().submit([checked()])
    for path in (
        tmp_path / "keys" / "server.key",
        tmp_path / "db" / "data.mdb",
        *(tmp_path / "wal").glob("*.wal"),
    ):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_a_folder_that_cannot_be_made_is_a_bad_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadSettings, match="cannot be made"):
        open_engine(settings_in(tmp_path)._replace(wal_dir=tmp_path / "file" / "wal"))


def test_below_the_disk_floor_writes_are_refused_and_reads_go_on(start: Open) -> None:
    engine = start(disk_floor_mb=10**9)
    with pytest.raises(Unavailable, match="the floor is") as refused:
        engine.submit([checked()])
    assert refused.value.reason == "disk_floor"
    assert refused.value.retry_after_s
    assert "floor" in engine.checks()["disk"]
    assert engine.view.claims_count == 0


def test_a_closed_engine_takes_no_more(start: Open) -> None:
    engine = start()
    engine.close()
    with pytest.raises(Unavailable) as refused:
        engine.submit([checked()])
    assert refused.value.reason == "draining"
    engine.close()


def test_a_full_queue_refuses_at_once(start: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemedb.limits.QUEUE_CHANGES_MAX", 3)
    engine = start()
    with pytest.raises(Unavailable) as refused:
        engine.submit([checked(object=number(index)) for index in range(4)])
    assert refused.value.reason == "queue_full"
    assert engine.log.head().seq == 1


def test_after_a_failed_sync_nothing_is_acknowledged(start: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = start()
    engine.submit([checked()])

    # A mock, since no real disk fails on demand: the log room's tests and the service's make real ones fail.
    def fail(_batch: list[Draft]) -> None:
        raise StorageFailed("the disk said no")

    monkeypatch.setattr(engine.log, "append", fail)
    with pytest.raises(StorageFailed):
        engine.submit([checked(object=number(1))])
    assert engine.failed.wait(1)
    monkeypatch.undo()
    with pytest.raises((StorageFailed, Unavailable)):
        engine.submit([checked(object=number(2))])
    assert "failed" in engine.checks()["storage"]
    assert engine.view.claims_count == 1


def _unexpected(error: Exception) -> None:
    raise error


def test_nothing_above_the_log_needs_files(tmp_path: Path) -> None:
    log = MemoryLog(server_key=bytes(32))
    view = View(tmp_path)
    catch_up(log, view, lambda _text: None)
    writer = Writer(log, view, Telemetry(), on_failure=_unexpected)
    assert writer.begin([checked()]).wait()[0].status == CREATED
    writer.close()
    rebuilt = View(tmp_path / "again")
    assert catch_up(log, rebuilt, lambda _text: None) == 2
    assert rebuilt.digest() == view.digest()
