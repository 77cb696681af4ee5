"""Death at every step of the write path, from the first byte to the reply, in a real process."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from stemedb.engine import FAULT_POINTS, Outcome, open_engine
from stemedb.log.files import FAULT_POINTS as LOG_POINTS
from stemedb.store.pages import check_pages
from tests.builders import checked, number
from tests.durability.crash_child import INSIDE_FOLD
from tests.durability.ledger import ROOT, assert_engine_holds
from tests.durability.small import small_settings

POINTS = (*LOG_POINTS, *FAULT_POINTS, INSIDE_FOLD)
# A log is created once; every other step is tried at its first time and when much has happened before.
CASES = [(point, nth) for point in POINTS for nth in ((1,) if point.startswith("create") else (1, 3))]


def run_child(folder: Path, point: str, nth: int) -> dict[str, int]:
    """Let a child die at the point; return what it acknowledged."""
    child = subprocess.run(
        [sys.executable, "-m", "tests.durability.crash_child", str(folder), point, str(nth)],
        cwd=ROOT,
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert child.returncode == -signal.SIGKILL, f"{point} was never reached: {child.stderr.decode()}"
    return {
        claim_id: int(seq) for claim_id, seq in (line.split() for line in child.stdout.decode().splitlines())
    }


@pytest.mark.parametrize(("point", "nth"), CASES)
def test_start_after_death_has_all_that_was_acknowledged(tmp_path: Path, point: str, nth: int) -> None:
    told = run_child(tmp_path, point, nth)
    with closing(open_engine(small_settings(tmp_path))) as engine:
        assert_engine_holds(engine, tmp_path / "wal", told)
        more = engine.submit([checked(subject="after", object=number(at)) for at in range(200)])
        told |= {outcome.id.hex(): outcome.seq for outcome in more if isinstance(outcome, Outcome)}
        assert_engine_holds(engine, tmp_path / "wal", told)
        digest = engine.view.digest()
    check_pages(tmp_path / "db")
    for path in (tmp_path / "db").glob("*.mdb"):
        path.unlink()
    with closing(open_engine(small_settings(tmp_path))) as engine:
        assert engine.view.digest() == digest


def test_start_after_many_deaths_of_one_folder(tmp_path: Path) -> None:
    told: dict[str, int] = {}
    for point, nth in CASES:
        if not point.startswith("create") and nth == 1:
            told |= run_child(tmp_path, point, nth)
    with closing(open_engine(small_settings(tmp_path))) as engine:
        assert_engine_holds(engine, tmp_path / "wal", told)
