"""Reading a folder without opening the log: same records, same head, nothing changed."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from stemedb.errors import Invalid, NotFound
from stemedb.log.offline import FolderLog
from tests.log.helpers import fill, make_log, open_small

if TYPE_CHECKING:
    from pathlib import Path


def test_dump_gives_what_the_log_gives(tmp_path: Path) -> None:
    make_log(tmp_path, batches=100)
    with closing(open_small(tmp_path)) as log:
        live = log.read(1, 1000)
        hashes = log.hashes(5, 250)
        head = log.head()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    folder = FolderLog(tmp_path)
    assert list(folder.records()) == live
    assert list(folder.records(200)) == live[199:]
    assert list(folder.records(302)) == []
    assert folder.hashes(5, 250) == hashes
    assert folder.head == head
    with pytest.raises(Invalid):
        next(folder.records(0))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_dump_beside_a_running_log_ends_where_it_was_opened(tmp_path: Path) -> None:
    with closing(open_small(tmp_path)) as log:
        fill(log, 5)
        folder = FolderLog(tmp_path)
        fill(log, 50)
        assert len(list(folder.records())) == 16
        assert len(list(FolderLog(tmp_path).records())) == 166


def test_head_refuses_a_folder_without_a_log(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(NotFound, match="holds no log"):
            FolderLog(folder)
