"""A long log is folded beside the view's place: whatever stops it, the next start begins anew."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from stemedb.engine import Engine, EngineSettings, open_engine
from stemedb.errors import Unavailable
from stemedb.store import View
from stemedb.store.environment import COPY_NAME
from tests.builders import SIGNERS, checked, number


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EngineSettings:
    monkeypatch.setattr("stemedb.limits.REBUILD_RECORDS_MIN", 50)
    monkeypatch.setattr("stemedb.limits.FOLD_RECORDS_MAX", 20)
    return EngineSettings(tmp_path / "wal", tmp_path / "db", tmp_path / "keys", 1 << 20, 1)


@pytest.fixture
def digest(settings: EngineSettings) -> str:
    """Write a log of a hundred records, take the view away, and return the digest it had."""
    engine = open_engine(settings)
    engine.submit([checked(SIGNERS[index % 8], object=number(index)) for index in range(100)])
    digest = engine.view.digest()
    engine.close()
    for path in settings.db_dir.glob("*.mdb"):
        path.unlink()
    return digest


@pytest.fixture
def opened(settings: EngineSettings, digest: str) -> Iterator[Engine]:
    del digest  # the log is there by then
    engine = open_engine(settings)
    yield engine
    engine.close()


def test_a_rebuilt_view_is_in_its_place_and_takes_writes(
    opened: Engine, digest: str, settings: EngineSettings
) -> None:
    assert opened.view.digest() == digest
    assert not (settings.db_dir / COPY_NAME).exists()
    opened.submit_one(checked(object=number(-1)))
    after = opened.view.digest()
    opened.close()
    again = open_engine(settings)
    assert (again.view.digest(), again.view.claims_count) == (after, 101)
    again.close()


def test_a_rebuild_that_was_stopped_begins_anew(
    settings: EngineSettings, digest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fold = View.fold
    folded: list[int] = []

    def stop(view: View, log_id: bytes, records: list[object]) -> None:
        folded.append(len(records))
        if len(folded) == 3:
            raise KeyboardInterrupt
        fold(view, log_id, records)  # type: ignore[arg-type]

    monkeypatch.setattr(View, "fold", stop)
    with pytest.raises(KeyboardInterrupt):
        open_engine(settings)
    monkeypatch.setattr(View, "fold", fold)
    assert (settings.db_dir / COPY_NAME).exists()
    engine = open_engine(settings)
    assert engine.view.digest() == digest
    engine.close()


def test_a_rebuild_without_room_leaves_the_view_as_it_was(
    settings: EngineSettings, digest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(_self: Path, _target: Path) -> None:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", no_room)
        with pytest.raises(Unavailable):
            open_engine(settings)
    engine = open_engine(settings)
    assert engine.view.digest() == digest
    engine.close()
