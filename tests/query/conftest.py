"""An engine on folders of its own, for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stemedb.engine import Engine, EngineSettings, open_engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(EngineSettings(tmp_path / "wal", tmp_path / "db", tmp_path / "keys", 1 << 20, 1))
    yield engine
    engine.close()
