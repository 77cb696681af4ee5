"""Checking a whole log: finds every kind of change, goes on where it stopped, runs beside a server."""

from __future__ import annotations

import shutil
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec
import pytest

from stemedb.errors import Corrupt, Invalid
from stemedb.log import Draft
from stemedb.log.frames import HEADER_BYTES, decode_header, encode_batch
from stemedb.log.verify import Checkpoint, verify
from tests.log.helpers import fill, flip, make_log, open_small, segment_files

if TYPE_CHECKING:
    from pathlib import Path


def test_verify_finds_nothing_in_a_whole_log(tmp_path: Path) -> None:
    make_log(tmp_path, batches=100)
    report = verify(tmp_path)
    with closing(open_small(tmp_path)) as log:
        assert (report.seq, bytes.fromhex(report.chain), report.time) == log.head()
        assert report.log_id == log.log_id.hex()
    assert report.whole
    assert report.records == 301
    assert report.torn_bytes == 0
    assert report.bytes > 301 * 72


def test_verify_names_every_damage(tmp_path: Path) -> None:
    make_log(tmp_path, batches=100)
    paths = segment_files(tmp_path)
    for path in (paths[0], paths[2], paths[-1]):
        flip(path, HEADER_BYTES + 72 + 5)
    report = verify(tmp_path)
    assert not report.whole
    assert [problem.file for problem in report.problems] == [paths[0].name, paths[2].name, paths[-1].name]
    assert {problem.code for problem in report.problems} == {"log_damaged"}
    firsts = [decode_header(path.read_bytes()[:HEADER_BYTES]).first_seq for path in paths]
    assert [problem.first_seq for problem in report.problems] == [1, firsts[2], firsts[-1]]
    assert [problem.last_seq for problem in report.problems] == [firsts[1] - 1, firsts[3] - 1, 301]
    assert report.checkpoint is None


def test_a_record_exchanged_by_somebody_who_knows_the_format_is_found(tmp_path: Path) -> None:
    """Checksum and hash can be made to fit; the chain in the next segment cannot."""
    make_log(tmp_path, batches=100)
    path = segment_files(tmp_path)[1]
    content = path.read_bytes()
    header = decode_header(content[:HEADER_BYTES])
    with closing(open_small(tmp_path)) as log:
        (record,) = log.read(header.first_seq, 1)
    exchanged = Draft(record.type, record.body[::-1])
    frames, _ = encode_batch([exchanged], record.seq, record.recorded_at, header.chain)
    path.write_bytes(content[:HEADER_BYTES] + frames[0] + content[HEADER_BYTES + len(frames[0]) :])
    (problem,) = verify(tmp_path).problems
    assert problem.code == "log_chain"
    assert problem.file == segment_files(tmp_path)[2].name
    with closing(open_small(tmp_path)) as log:
        following = decode_header(segment_files(tmp_path)[2].read_bytes()).first_seq
        for seq in range(1, following - 7, 7):
            log.read(seq, 7)
        with pytest.raises(Corrupt, match="was exchanged") as refused:
            log.read(seq + 7, 7)
    assert refused.value.reason == "log_chain"


def test_verify_goes_on_where_it_stopped(tmp_path: Path) -> None:
    make_log(tmp_path, batches=50)
    first = verify(tmp_path)
    assert first.checkpoint is not None
    kept = msgspec.json.decode(msgspec.json.encode(first.checkpoint), type=Checkpoint)
    make_log(tmp_path, batches=100)
    seen: list[tuple[Checkpoint, int, int]] = []
    second = verify(tmp_path, since=kept, progress=lambda *step: seen.append(step))
    assert second.whole
    assert second.records == 300
    assert second.seq == 451
    assert second.chain == verify(tmp_path).chain
    assert seen[-1][0] == second.checkpoint
    assert all(done <= total for _, done, total in seen)
    # From the very end there is nothing left to do, and nothing is wrong with that.
    again = verify(tmp_path, since=second.checkpoint)
    assert (again.records, again.seq, again.whole) == (0, 451, True)


def test_verify_goes_on_from_any_place(tmp_path: Path) -> None:
    make_log(tmp_path, batches=100)
    places: list[Checkpoint] = []
    whole = verify(tmp_path, progress=lambda at, _done, _total: places.append(at))
    assert len(places) >= len(segment_files(tmp_path))
    for place in places:
        report = verify(tmp_path, since=place)
        assert report.whole
        assert report.chain == whole.chain
        assert report.records == 301 - place.seq


def test_verify_refuses_a_foreign_checkpoint(tmp_path: Path) -> None:
    one = verify(make_log(tmp_path / "one", batches=2))
    make_log(tmp_path / "other", batches=2)
    with pytest.raises(Invalid):
        verify(tmp_path / "other", since=one.checkpoint)


def test_verify_sees_that_a_log_was_set_back(tmp_path: Path) -> None:
    """An older copy put in place of the log lacks what the checkpoint says was there."""
    make_log(tmp_path / "log", batches=10)
    shutil.copytree(tmp_path / "log", tmp_path / "old")
    make_log(tmp_path / "log", batches=1)
    kept = verify(tmp_path / "log").checkpoint
    report = verify(tmp_path / "old", since=kept)
    assert [problem.code for problem in report.problems] == ["log_behind"]
    make_log(tmp_path / "log", batches=50)
    kept = verify(tmp_path / "log").checkpoint
    report = verify(tmp_path / "old", since=kept)
    assert [problem.code for problem in report.problems] == ["log_behind"]
    assert report.records == 31


def test_verify_reports_a_torn_tail_as_what_it_is(tmp_path: Path) -> None:
    make_log(tmp_path, batches=3)
    (path,) = segment_files(tmp_path)
    flip(path, len(path.read_bytes().rstrip(b"\0")) - 20)
    before = path.read_bytes()
    report = verify(tmp_path)
    assert report.whole
    assert report.seq == 9
    assert report.torn_bytes > 20
    assert path.read_bytes() == before


def test_verify_refuses_a_folder_that_is_not_in_order(tmp_path: Path) -> None:
    make_log(tmp_path, batches=50)
    segment_files(tmp_path)[1].unlink()
    with pytest.raises(Corrupt, match="missing"):
        verify(tmp_path)


def test_verify_beside_a_running_log_finds_nothing(tmp_path: Path) -> None:
    with closing(open_small(tmp_path)) as log:
        writer = threading.Thread(target=lambda: fill(log, batches=300))
        writer.start()
        runs = 0
        while writer.is_alive() or not runs:
            report = verify(tmp_path)
            assert report.problems == []
            runs += 1
        writer.join()
        assert verify(tmp_path).seq == 901
