"""A backup written by 0.1.0 stays restorable: committed once, never made anew."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from stemedb.backup.checking import check
from stemedb.backup.points import Target, read_points
from stemedb.backup.restore import Restored, Wanted, restore
from stemedb.backup.verify import verify
from stemedb.store import environment

FIXTURE = Path(__file__).resolve().parents[1] / "fixtures" / "backup-v1"
EXPECTED = json.loads((FIXTURE / "expected.json").read_text())
TRUSTED = frozenset({bytes.fromhex(EXPECTED["server_key"])})


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    """A copy of the backup, since looking leaves locks."""
    return shutil.copytree(FIXTURE, tmp_path / "backups")


def restored(backups: Path, folder: Path, seq: int | None) -> Restored:
    target = None if seq is None else Target(seq, None)
    return restore(read_points(backups, TRUSTED), Wanted(folder / "wal", folder / "db", target))


def test_it_is_whole_and_comes_back(backups: Path, tmp_path: Path) -> None:
    assert verify(backups, TRUSTED, full=True).whole
    check(read_points(backups, TRUSTED))
    end = restored(backups, tmp_path / "end", None)
    assert (end.seq, end.claims_count) == (EXPECTED["end"]["seq"], EXPECTED["end"]["claims"])
    then = restored(backups, tmp_path / "then", EXPECTED["snapshot"]["seq"])
    assert then.claims_count == EXPECTED["snapshot"]["claims"]
    assert then.snapshot
    # Digests are those of a view's format; a version that changes that changes these two lines.
    assert end.state_digest == EXPECTED["end"]["digest"]
    assert then.state_digest == EXPECTED["snapshot"]["digest"]


def test_a_later_version_whose_views_differ_makes_its_own(
    backups: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # There is no second format yet; the number is all that a later version would find different at first.
    monkeypatch.setattr(environment, "FORMAT_VERSION", environment.FORMAT_VERSION + 1)
    end = restored(backups, tmp_path / "end", None)
    assert end.snapshot == ""
    assert end.claims_count == EXPECTED["end"]["claims"]
