"""A data folder written by version 0.1.0 opens for ever, and answers as it did."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

from stemedb.engine import open_engine
from stemedb.store.pages import check_pages
from tests.builders import checked, number
from tests.durability.ledger import assert_log_holds
from tests.durability.small import small_settings
from tests.fixtures.data_v1 import ANSWERS_NAME, answers_to

DATA = Path(__file__).parents[1] / "fixtures" / "data-v1"


def copy_of_data(to: Path) -> Path:
    """Return a copy that may be written to."""
    shutil.copytree(DATA, to)
    # Modes do not survive a version control system.
    (to / "keys").chmod(0o700)
    return to


def assert_contains(now: Any, then: Any, place: str = "") -> None:  # noqa: ANN401 - JSON
    """Check that an answer says all it said then; a later version may say more."""
    if isinstance(then, dict):
        for key, value in then.items():
            assert_contains(now[key], value, f"{place}/{key}")
    elif isinstance(then, list):
        assert len(now) == len(then), place
        for at, (new, old) in enumerate(zip(now, then, strict=True)):
            assert_contains(new, old, f"{place}/{at}")
    else:
        assert now == then, place


def test_old_data_opens_answers_and_goes_on(tmp_path: Path) -> None:
    folder = copy_of_data(tmp_path / "data")
    then = json.loads((folder / ANSWERS_NAME).read_bytes())
    with closing(open_engine(small_settings(folder))) as engine:
        assert_contains(json.loads(answers_to(engine.view)), then)
        digest = engine.view.digest()
        seq = engine.view.applied_seq
    check_pages(folder / "db")
    # The log alone is enough.
    shutil.rmtree(folder / "db")
    with closing(open_engine(small_settings(folder))) as engine:
        assert engine.view.digest() == digest
        assert_contains(json.loads(answers_to(engine.view)), then)
        (outcome,) = engine.submit([checked(subject="new", object=number(1))])
        assert outcome.seq == seq + 1  # type: ignore[union-attr]  # a refusal has none
    assert assert_log_holds(folder / "wal", {}) == seq + 1
