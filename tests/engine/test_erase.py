"""Erasing end to end on real files: what was said is in no file, what was proven stays proven."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from signal import SIGKILL

import pytest

from stemedb import limits
from stemedb.engine import FAULT_POINTS as ENGINE_POINTS
from stemedb.engine import Checked, Engine, EngineSettings, SourceChange, open_engine
from stemedb.engine.erasing import Erasure
from stemedb.engine.history import audit
from stemedb.errors import Gone, NotFound
from stemedb.log.erasing import FAULT_POINTS
from stemedb.log.offline import FolderLog
from stemedb.log.verify import verify
from stemedb.model.erasure import CopyOut
from stemedb.model.records import SourceRecord, SourceStatus
from tests.builders import NOW_S, SIGNERS, checked, text

ROOT = Path(__file__).parents[2]
SEGMENT_BYTES = 64 * 1024
SECRET = "the patient's name;"  # noqa: S105 - the word that must vanish


def settings_in(folder: Path) -> EngineSettings:
    return EngineSettings(folder / "wal", folder / "db", folder / "keys", SEGMENT_BYTES, disk_floor_mb=1)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_engine(settings_in(tmp_path))
    yield opened
    opened.close()


def holds(folder: Path, data: str) -> list[str]:
    """Return which files below `folder` hold `data`."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path.relative_to(folder)) for path in files if data.encode() in path.read_bytes()]


def secret_claim(index: int, size: int = 3, *signers: int) -> Checked:
    chosen = [SIGNERS[each] for each in signers]
    return checked(*chosen, subject=f"patient {index}", object=text(f"{SECRET}{index};" * size))


def fill(engine: Engine, count: int = 60) -> list[bytes]:
    """Write claims with a secret in each third one, with endorsements; return the ids of those."""
    ids = []
    for index in range(count):
        claim = secret_claim(index, 1 + index) if index % 3 == 0 else checked(subject=f"other {index}")
        ids += [claim.id] if index % 3 == 0 else []
        engine.submit([claim])
    engine.submit([secret_claim(0, 1, 1, 2)])
    return ids


def erase(engine: Engine, ids: list[bytes], *, now: bool = True) -> list[CopyOut]:
    _, copies = engine.erase(Erasure(tuple(ids), "a wish", "admin"), now=now)
    return copies


def rebuilt_digest(folder: Path) -> str:
    for path in (folder / "db").glob("*.mdb"):
        path.unlink()
    with closing(open_engine(settings_in(folder))) as engine:
        return engine.view.digest()


def test_erase_now_leaves_it_in_no_file(engine: Engine, tmp_path: Path) -> None:
    ids = fill(engine)
    source = SourceRecord(bytes([7]) * 32, "a letter", None, None, SourceStatus.ACTIVE, SECRET * 200, NOW_S)
    engine.submit([SourceChange(source)])
    kept = engine.signed_head()
    assert holds(tmp_path, SECRET)
    copies = erase(engine, [*ids, source.source_hash])
    assert copies == [CopyOut("log", "done"), CopyOut("view", "done")]
    assert holds(tmp_path, SECRET) == []
    assert engine.log.head().seq == kept.seq + 1
    audit(kept, engine.log.log_id, engine.log.head(), engine.log.hashes)
    digest, seqs = (
        engine.view.digest(),
        [record.seq for record in engine.log.read(1, 1000) if record.redacted],
    )
    assert len(seqs) == len(ids) + 1
    engine.submit([checked(subject="after")])
    digest = engine.view.digest()
    engine.close()
    report = verify(tmp_path / "wal")
    assert (report.whole, report.redacted) == (True, len(ids) + 1)
    assert rebuilt_digest(tmp_path) == digest
    assert holds(tmp_path, SECRET) == []


def test_erase_without_now_leaves_the_view_for_later(engine: Engine, tmp_path: Path) -> None:
    (claim_id, *_) = fill(engine, 4)
    log, view = erase(engine, [claim_id], now=False)
    assert log == CopyOut("log", "done")
    assert (view.name, view.state) == ("view", "pending")
    assert view.until is not None
    assert abs(view.until - time.time() - limits.VIEW_COMPACT_WITHIN_S) < 60
    assert holds(tmp_path / "wal", f"{SECRET}0;") == []
    # Asked again it exists, and what was left is done.
    outcome, copies = engine.erase(Erasure((claim_id,), "again", "admin"), now=True)
    assert outcome.status == "exists"
    assert {copy.state for copy in copies} == {"done"}
    assert engine.log.head().seq == outcome.seq
    assert holds(tmp_path, f"{SECRET}0;") == []


def test_the_view_moves_by_itself_when_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(open_engine(settings_in(tmp_path))) as engine:
        (claim_id, *_) = fill(engine, 4)
        erase(engine, [claim_id], now=False)
    # The day passes while the service is stopped.
    monkeypatch.setattr(limits, "VIEW_COMPACT_AFTER_S", 0)
    with closing(open_engine(settings_in(tmp_path))) as engine:
        until(lambda: engine.view.compact_since() is None)
        assert holds(tmp_path, f"{SECRET}0;") == []


def until(true: Callable[[], bool], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_erased_ids_are_gone_for_good(engine: Engine) -> None:
    (first, *_) = fill(engine, 4)
    erase(engine, [first])
    with engine.view.snapshot() as snapshot:
        assert snapshot.claim(first) is None
        assert snapshot.erased_at(first) == engine.log.head().seq
        assert snapshot.agent_claims_count(SIGNERS[1].agent_id) == 0
    with pytest.raises(Gone):
        engine.submit_one(secret_claim(0, 1))


def test_erase_refuses_unknown_ids_and_erases_nothing_then(engine: Engine) -> None:
    (first, *_) = fill(engine, 4)
    before = engine.log.head()
    with pytest.raises(NotFound, match="ff" * 32):
        erase(engine, [first, b"\xff" * 32])
    assert engine.log.head() == before
    with engine.view.snapshot() as snapshot:
        assert snapshot.claim(first) is not None


def test_erase_while_others_read_and_write(engine: Engine, tmp_path: Path) -> None:
    ids = fill(engine)
    done = threading.Event()
    failures: list[Exception] = []

    def work(step: Callable[[int], object]) -> None:
        try:
            index = 0
            while not done.is_set():
                step(index)
                index += 1
        except Exception as error:  # noqa: BLE001 - whatever goes wrong fails the test
            failures.append(error)

    def look(_index: int) -> None:
        engine.log.read(1, 1000)
        with engine.view.snapshot() as snapshot:
            assert snapshot.state.applied_seq

    threads = [
        threading.Thread(target=work, args=[look]),
        threading.Thread(target=work, args=[lambda index: engine.submit([checked(subject=f"more {index}")])]),
    ]
    for thread in threads:
        thread.start()
    for claim_id in ids:
        erase(engine, [claim_id])
    done.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert holds(tmp_path, SECRET) == []
    digest = engine.view.digest()
    engine.close()
    assert rebuilt_digest(tmp_path) == digest


@pytest.mark.parametrize("point", [*ENGINE_POINTS, *FAULT_POINTS, "overwritten"])
def test_start_finishes_an_erasure_cut_short(tmp_path: Path, point: str) -> None:
    child = subprocess.run(
        [sys.executable, "-m", "tests.engine.test_erase", str(tmp_path), point], cwd=ROOT, check=False
    )
    assert child.returncode == -SIGKILL
    with closing(open_engine(settings_in(tmp_path))) as engine:
        assert sum(record.redacted for record in engine.log.read(1, 1000)) == 20
        assert not engine.view.to_overwrite()
        assert holds(tmp_path / "wal", SECRET) == []
        assert engine.view.compact_since() is not None
        digest = engine.view.digest()
    assert verify(tmp_path / "wal").whole
    assert FolderLog(tmp_path / "wal").head.seq == 63
    assert rebuilt_digest(tmp_path) == digest
    assert holds(tmp_path, SECRET) == []


@pytest.mark.parametrize("point", [*FAULT_POINTS, "overwritten"])
def test_a_rebuild_finishes_an_erasure_cut_short(tmp_path: Path, point: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "tests.engine.test_erase", str(tmp_path), point], cwd=ROOT, check=False
    )
    rebuilt_digest(tmp_path)
    assert holds(tmp_path / "wal", SECRET) == []
    assert verify(tmp_path / "wal").whole


class _Killer:
    """Kills this process when a point is reached, once armed."""

    armed = False

    def __init__(self, point: str) -> None:
        self._point = point

    def at(self, point: str) -> None:
        if self.armed and point == self._point:
            os.kill(os.getpid(), SIGKILL)


def _die_erasing(folder: Path, point: str) -> None:
    killer = _Killer(point)
    engine = open_engine(settings_in(folder), faults=killer)
    ids = fill(engine)
    killer.armed = True
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(engine.view, "overwritten", lambda _seqs: killer.at("overwritten"))
    erase(engine, ids, now=False)


if __name__ == "__main__":
    _die_erasing(Path(sys.argv[1]), sys.argv[2])
