"""Erasing bodies from a local log: in place, for good, and finished after a stop at any moment."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from signal import SIGKILL

import pytest

from stemedb.errors import Corrupt, Invalid
from stemedb.log import Draft, LocalLog, open_log
from stemedb.log.erasing import FAULT_POINTS
from stemedb.log.offline import FolderLog
from stemedb.log.verify import verify
from tests.log.helpers import SERVER_KEY, SMALL_SEGMENT_BYTES, fill, flip, segment_files

ROOT = Path(__file__).parents[2]
ERASURE = 99
SECRET = b"the name of a patient, "
SECTOR = 512


def erases(kind: int, body: bytes) -> list[int]:
    """Read the records by which these tests say that others are erased."""
    return [int(seq) for seq in body.split()] if kind == ERASURE else []


def open_erasing(folder: Path) -> LocalLog:
    return open_log(folder, server_key=SERVER_KEY, segment_bytes=SMALL_SEGMENT_BYTES, erases=erases)


def add_secrets(log: LocalLog, *sizes: int) -> list[int]:
    """Append records with a secret in each, between others; give their seqs."""
    seqs = []
    for size in sizes:
        seqs.append(log.append([Draft(2, SECRET * size)]).first_seq)
        fill(log, 2)
    return seqs


def say_erased(log: LocalLog, seqs: list[int]) -> None:
    log.append([Draft(ERASURE, b" ".join(b"%d" % seq for seq in seqs))])


def files_hold(folder: Path, data: bytes) -> bool:
    return any(data in path.read_bytes() for path in folder.iterdir() if path.is_file())


def place_of(folder: Path, data: bytes) -> tuple[Path, int]:
    """Find where the first occurrence of `data` stands."""
    for path in segment_files(folder):
        offset = path.read_bytes().find(data)
        if offset >= 0:
            return path, offset
    raise AssertionError


def test_erase_leaves_no_byte_and_changes_no_hash(tmp_path: Path) -> None:
    with closing(open_erasing(tmp_path)) as log:
        fill(log, 10)
        seqs = add_secrets(log, 1, 7, 60)
        fill(log, 40)
        assert log.usage().segments > 3
        head, hashes = log.head(), log.hashes(1, log.head().seq)
        times = [record.recorded_at for record in log.read(1, 1000)]
        log.erase(seqs)
        log.erase(seqs)
        assert (log.head(), log.hashes(1, head.seq)) == (head, hashes)
        records = log.read(1, 1000)
        assert [record.recorded_at for record in records] == times
        assert [record.seq for record in records if record.redacted] == seqs
        assert [record.body for record in records if record.redacted] == [b"", b"", b""]
    assert not files_hold(tmp_path, SECRET)
    report = verify(tmp_path)
    assert (report.whole, report.redacted, report.seq, report.chain) == (True, 3, head.seq, head.chain.hex())


def test_erase_refuses_the_genesis_and_what_is_not_there(tmp_path: Path) -> None:
    with closing(open_erasing(tmp_path)) as log:
        fill(log, 1)
        for seq in (0, 1, 5):
            with pytest.raises(Invalid):
                log.erase([2, seq])
        assert not log.read(2, 1)[0].redacted


def test_read_while_erasing(tmp_path: Path) -> None:
    with closing(open_erasing(tmp_path)) as log:
        seqs = add_secrets(log, *[80] * 40)
        failures: list[Exception] = []
        done = threading.Event()

        def read() -> None:
            try:
                while not done.is_set():
                    for seq in seqs:
                        log.read(seq, 1)
            except Exception as error:  # noqa: BLE001 - whatever a reader meets fails the test
                failures.append(error)

        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        for seq in seqs:
            log.erase([seq])
        done.set()
        for reader in readers:
            reader.join()
    assert not failures


def test_verify_while_erasing_finds_nothing_wrong(tmp_path: Path) -> None:
    with closing(open_erasing(tmp_path)) as log:
        seqs = add_secrets(log, *[80] * 40)

        def erase() -> None:
            for seq in seqs:
                log.erase([seq])

        eraser = threading.Thread(target=erase)
        eraser.start()
        reports = [verify(tmp_path)]
        while eraser.is_alive():
            reports.append(verify(tmp_path))
        eraser.join()
    assert all(report.whole for report in reports)


@pytest.mark.parametrize("last_segment", [True, False])
@pytest.mark.parametrize("size", [1, 9, 23, 100])
def test_open_finishes_a_torn_erasure_in_any_sector_order(
    tmp_path: Path, size: int, *, last_segment: bool
) -> None:
    with closing(open_erasing(tmp_path / "log")) as log:
        fill(log, 3)
        (seq,) = add_secrets(log, size)
        say_erased(log, [seq])
        if not last_segment:
            fill(log, 30)
        head = log.head()
    path, at = place_of(tmp_path / "log", SECRET)
    before = path.read_bytes()
    with closing(open_erasing(tmp_path / "log")) as log:
        log.erase([seq])
    after = path.read_bytes()
    sectors = [
        begin
        for begin in range(0, len(before), SECTOR)
        if before[begin : begin + SECTOR] != after[begin : begin + SECTOR]
    ]
    assert at - at % SECTOR in sectors
    orders = [sectors[:n] for n in range(1, len(sectors))] + [sectors[n:] for n in range(1, len(sectors))]
    for written in orders:
        torn = bytearray(before)
        for begin in written:
            torn[begin : begin + SECTOR] = after[begin : begin + SECTOR]
        path.write_bytes(torn)
        with closing(open_erasing(tmp_path / "log")) as log:
            assert log.head() == head
            log.read(1, 1000)
            assert log.read(seq, 1)[0].redacted or size == 1
        assert path.read_bytes() == after


def test_open_refuses_damage_that_no_erasure_explains(tmp_path: Path) -> None:
    with closing(open_erasing(tmp_path)) as log:
        seq, other = add_secrets(log, 30, 30)
        say_erased(log, [other])
    path, offset = place_of(tmp_path, SECRET)
    flip(path, offset)
    with pytest.raises(Corrupt, match=f"record {seq} had been synced"):
        open_erasing(tmp_path)
    flip(path, offset)
    with path.open("rb+") as file:
        file.seek(offset - offset % SECTOR + SECTOR)
        file.write(bytes(SECTOR // 2))
    damaged = path.read_bytes()
    with pytest.raises(Corrupt, match=f"record {seq} had been synced"):
        open_erasing(tmp_path)
    assert path.read_bytes() == damaged


@pytest.mark.parametrize("point", FAULT_POINTS)
def test_erase_again_after_a_kill(tmp_path: Path, point: str) -> None:
    child = subprocess.run(
        [sys.executable, "-m", "tests.log.test_erase", str(tmp_path), point], cwd=ROOT, check=False
    )
    assert child.returncode == -SIGKILL
    with closing(open_erasing(tmp_path)) as log:
        erased = [record.body for record in log.read(1, 1000) if record.type == ERASURE]
        seqs = [int(seq) for body in erased for seq in body.split()]
        assert len(seqs) == 4
        log.erase(seqs)
        assert [record.seq for record in log.read(1, 1000) if record.redacted] == seqs
        fill(log, 10)
    assert not files_hold(tmp_path, SECRET)
    assert verify(tmp_path).whole
    assert FolderLog(tmp_path).head.seq > seqs[-1]


class _Killer:
    def __init__(self, point: str) -> None:
        self._point = point

    def at(self, point: str) -> None:
        if point == self._point:
            os.kill(os.getpid(), SIGKILL)


def _die_erasing(folder: Path, point: str) -> None:
    with closing(open_erasing(folder)) as log:
        fill(log, 5)
        seqs = add_secrets(log, 40, 3, 90, 200)
        say_erased(log, seqs)
    open_log(
        folder, server_key=SERVER_KEY, segment_bytes=SMALL_SEGMENT_BYTES, erases=erases, faults=_Killer(point)
    ).erase(seqs)


if __name__ == "__main__":
    _die_erasing(Path(sys.argv[1]), sys.argv[2])
