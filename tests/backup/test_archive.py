"""The archive: what was synced, byte for byte, whatever stops the copying; never more than is there."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from stemedb.backup import Archiver
from stemedb.backup.archive import FAULT_POINTS
from stemedb.backup.layout import STATE_NAME
from stemedb.backup.reading import LogReader
from stemedb.errors import Corrupt, Locked, Unavailable
from stemedb.log import Draft
from stemedb.log.repair import repair
from stemedb.log.verify import verify
from stemedb.model.history import verify_head
from stemedb.model.records import ErasureRecord, RecordType, encode_body
from tests.backup.helpers import SIGNER, archive_all, check_same, state_of
from tests.durability.mounts import memory_disk, run
from tests.log.helpers import body_of, drafts, fill, flip, make_log, open_small, segment_files

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A log of several segments, at rest."""
    return make_log(tmp_path / "log", 50)


def test_archive_is_the_log_and_follows_it(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "b" / "wal"
    archive_all(source, target)
    check_same(source, target)
    with closing(open_small(source)) as log, closing(Archiver(source, target, SIGNER)) as archiver:
        for _ in range(30):
            fill(log, 2)
            archiver.step()
            check_same(source, target)
        assert archiver.seq == log.head().seq
    report = verify(target)
    assert report.whole
    assert report.seq == archiver.seq
    verify_head(state_of(target).head)
    assert state_of(target).head.server_key == SIGNER.agent_id.hex()


def test_what_is_not_synced_is_not_archived(source: Path, tmp_path: Path) -> None:
    class Watcher:
        """Archives at the moment when a batch is written and not yet synced."""

        seq = 0

        def at(self, point: str) -> None:
            if point == "before_sync" and self.seq == 0:
                archive_all(source, tmp_path / "b" / "wal")
                self.seq = state_of(tmp_path / "b" / "wal").head.seq

    watcher = Watcher()
    with closing(open_small(source, faults=watcher)) as log:
        head = log.head().seq
        fill(log, 1)
        assert watcher.seq == head
        archive_all(source, tmp_path / "b" / "wal")
        assert state_of(tmp_path / "b" / "wal").head.seq == log.head().seq


@pytest.mark.parametrize("point", FAULT_POINTS)
@pytest.mark.parametrize("nth", [1, 2, 4])
def test_killed_at_any_step_it_claims_what_is_there_and_goes_on(
    source: Path, tmp_path: Path, point: str, nth: int
) -> None:
    erasure = Draft(RecordType.ERASURE, encode_body(ErasureRecord((bytes(32),), (7, 60), "asked", "me")))
    target = tmp_path / "b" / "wal"
    target.parent.mkdir()
    with closing(open_small(source)) as log:
        log.append([erasure])
        log.erase([7, 60])
        fill(log, 50)
    program = [sys.executable, "-m", "tests.backup.archive_child"]
    command = [*program, str(source), str(target), point, str(nth)]
    done = subprocess.run(command, cwd=ROOT, check=False)
    once = {"archive_redact", "archive_done"}  # in one run
    assert done.returncode == (0 if point in once and nth > 1 else -signal.SIGKILL)
    if (target / STATE_NAME).exists():
        claimed = state_of(target).head
        reader = LogReader(target, bytes.fromhex(claimed.log_id))
        for _ in reader.chunks(claimed.seq):
            pass
        assert reader.place.head.chain.hex() == claimed.chain
    archive_all(source, target)
    check_same(source, target)
    assert state_of(target).erased_seq == state_of(target).head.seq


def test_what_is_erased_later_is_overwritten_in_the_archive(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "b" / "wal"
    archive_all(source, target)
    assert body_of(20) in b"".join(path.read_bytes() for path in segment_files(target))
    body = encode_body(ErasureRecord((bytes(32),), (20, 90), "asked", "me"))
    with closing(open_small(source)) as log:
        log.append([Draft(RecordType.ERASURE, body)])
        archive_all(source, target)  # before the log itself has overwritten anything
        everything = b"".join(path.read_bytes() for path in segment_files(target))
        assert body_of(20) not in everything
        assert body_of(90) not in everything
        log.erase([20, 90])
        check_same(source, target)
    assert verify(target).redacted == 2


def test_a_last_batch_that_a_stop_tore_was_never_archived(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "b" / "wal"
    archive_all(source, target)
    last = segment_files(source)[-1]
    with last.open("rb+") as file:
        file.seek(state_of(target).offset)
        file.write(b"\0\0\1\0 torn")
    archive_all(source, target)
    with closing(open_small(source)) as log:
        fill(log, 1)
    archive_all(source, target)
    check_same(source, target)


def test_another_log_and_another_history_are_refused(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "b" / "wal"
    archive_all(source, target)
    other = make_log(tmp_path / "other", 2)
    with pytest.raises(Corrupt, match="archive") as refused:
        archive_all(other, target)
    assert refused.value.reason == "foreign_archive"
    seq = state_of(target).head.seq
    repair(source, seq - 5, tmp_path / "cut")
    with closing(open_small(source)) as log:
        with pytest.raises(Unavailable, match=f"archive holds record {seq}, the log says that it ends with"):
            archive_all(source, target)
        fill(log, 20)
    with pytest.raises(Corrupt) as refused:
        archive_all(source, target)
    assert refused.value.reason == "foreign_archive"
    assert state_of(target).head.seq == seq


def test_an_archive_without_its_state_file_is_taken_up_again(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "b" / "wal"
    archive_all(source, target)
    (target / STATE_NAME).unlink()
    archive_all(source, target)
    check_same(source, target)


def test_an_archive_that_lost_bytes_is_refused_and_can_be_made_anew(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "b" / "wal"
    archive_all(source, target)
    last = segment_files(target)[-1]
    os.truncate(last, last.stat().st_size - 1)
    with pytest.raises(Corrupt) as refused:
        archive_all(source, target)
    assert refused.value.reason == "bad_backup"
    shutil.rmtree(target)
    archive_all(source, target)
    check_same(source, target)


def test_one_process_keeps_an_archive(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "wal"
    with closing(Archiver(source, target, SIGNER)), pytest.raises(Locked):
        Archiver(source, target, SIGNER)


def test_a_damaged_log_is_not_copied_on(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "b" / "wal"
    flip(segment_files(source)[1], 9000)
    with pytest.raises(Corrupt) as refused:
        archive_all(source, target)
    assert refused.value.reason == "log_damaged"
    assert state_of(target).head.seq < 150  # the sealed segment before it


def test_without_a_word_of_the_writer_nothing_is_archived(source: Path, tmp_path: Path) -> None:
    (source / "synced").unlink()
    with pytest.raises(Unavailable, match="on stable storage"):
        archive_all(source, tmp_path / "wal")
    with closing(open_small(source)):
        pass
    archive_all(source, tmp_path / "wal")


def test_a_full_and_a_read_only_disk_stop_it_until_there_is_room(source: Path, tmp_path: Path) -> None:
    with memory_disk(tmp_path / "disk", 1) as disk:
        target = disk / "wal"
        archive_all(source, target)
        with closing(open_small(source)) as log:
            big = [Draft(2, os.urandom(100_000)) for _ in range(20)]
            log.append(big)
            with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
                archive_all(source, target)
            assert state_of(target).head.seq < log.head().seq
            run("mount", "-o", "remount,ro,size=8m", disk)
            with pytest.raises(OSError, match=os.strerror(errno.EROFS)):
                archive_all(source, target)
            run("mount", "-o", "remount,rw,size=8m", disk)
            archive_all(source, target)
            check_same(source, target)


def test_appending_never_waits_for_the_archive(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "wal"
    with closing(open_small(source)) as log, closing(Archiver(source, target, SIGNER)):
        log.append(drafts(log.head().seq + 1, 3))  # while the archive's lock is held
