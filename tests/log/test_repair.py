"""Cutting a log before its damage: what stays is whole, what goes is saved."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from stemedb.errors import Conflict, Corrupt, Invalid, Locked, NotFound
from stemedb.log.frames import HEADER_BYTES, decode_header
from stemedb.log.offline import FolderLog
from stemedb.log.repair import repair
from stemedb.log.verify import verify
from tests.log.helpers import check_all, fill, flip, make_log, open_small, segment_files

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log of several segments, at rest."""
    return make_log(tmp_path / "log", batches=100)


def first_seqs(folder: Path) -> list[int]:
    return [decode_header(path.read_bytes()[:HEADER_BYTES]).first_seq for path in segment_files(folder)]


@pytest.mark.parametrize("seq", [2, 10, 150, 300, 301])
def test_repair_cuts_and_saves(folder: Path, tmp_path: Path, seq: int) -> None:
    before = {path.name: path.read_bytes() for path in segment_files(folder)}
    done = repair(folder, seq, tmp_path / "saved")
    assert done.last_seq == seq - 1
    assert done.cut_bytes > 0
    for copy in done.saved:
        assert copy.read_bytes() == before[copy.name]
    unchanged = {path.name for path in segment_files(folder)} - {copy.name for copy in done.saved}
    assert all((folder / name).read_bytes() == before[name] for name in unchanged)
    with closing(open_small(folder, known_seq=seq - 1)) as log:
        assert log.head().seq == seq - 1
        assert log.recovery.cut_bytes == 0
        fill(log, 60)
        check_all(log, seq + 179)
    assert verify(folder).whole


def test_repair_cuts_at_the_border_of_a_segment(folder: Path, tmp_path: Path) -> None:
    border = first_seqs(folder)[2]
    repair(folder, border, tmp_path / "saved")
    assert FolderLog(folder).head.seq == border - 1
    with closing(open_small(folder)) as log:
        fill(log, 3)
    assert verify(folder).whole


@pytest.mark.parametrize("damage", ["frame", "header", "missing"])
def test_repair_makes_a_refused_log_open_again(folder: Path, tmp_path: Path, damage: str) -> None:
    path = segment_files(folder)[-2]
    seq = first_seqs(folder)[-2]
    if damage == "frame":
        flip(path, HEADER_BYTES + 80)
    elif damage == "header":
        flip(path, 30)
    else:
        path.unlink()
    if damage != "frame":  # an older segment's frames are read when they are needed
        with pytest.raises(Corrupt):
            open_small(folder)
    repair(folder, seq, tmp_path / "saved")
    with closing(open_small(folder)) as log:
        check_all(log, seq - 1)
        fill(log, 30)
    assert verify(folder).whole


def test_repair_refuses_to_keep_damage(folder: Path, tmp_path: Path) -> None:
    flip(segment_files(folder)[-1], HEADER_BYTES + 80)
    with pytest.raises(Corrupt, match="not whole either") as caught:
        repair(folder, 301, tmp_path / "saved")
    assert f"--truncate-at {first_seqs(folder)[-1]}" in caught.value.ways_out[-1]
    assert not (tmp_path / "saved").exists()


def test_repair_refuses_what_makes_no_sense(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(Invalid):
        repair(folder, 1, tmp_path / "saved")
    with pytest.raises(Invalid):
        repair(folder, 10, folder)
    with pytest.raises(NotFound):
        repair(tmp_path / "nowhere", 10, tmp_path / "saved")
    with pytest.raises(Conflict, match="nothing to cut"):
        repair(folder, 302, tmp_path / "saved")
    with pytest.raises(Corrupt):
        repair(folder, 400, tmp_path / "saved")
    assert FolderLog(folder).head.seq == 301


def test_repair_never_overwrites_a_copy(folder: Path, tmp_path: Path) -> None:
    repair(folder, 300, tmp_path / "saved")
    kept = {path: path.read_bytes() for path in (tmp_path / "saved").iterdir()}
    with pytest.raises(Conflict, match="is there already"):
        repair(folder, 299, tmp_path / "saved")
    assert {path: path.read_bytes() for path in (tmp_path / "saved").iterdir()} == kept
    assert FolderLog(folder).head.seq == 299


def test_repair_waits_for_no_running_server(folder: Path, tmp_path: Path) -> None:
    with closing(open_small(folder)), pytest.raises(Locked):
        repair(folder, 10, tmp_path / "saved")
