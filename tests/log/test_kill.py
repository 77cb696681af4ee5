"""Death at every step of the write path, in a real process: nothing acknowledged is lost."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from stemedb.log.files import FAULT_POINTS
from stemedb.log.verify import verify
from tests.log.helpers import check_all, fill, open_small, segment_files

ROOT = Path(__file__).parents[2]
# Creation happens once; the rest is tried early and after several rotations.
CASES = [(point, nth) for point in FAULT_POINTS for nth in ((1,) if point.startswith("create") else (1, 4))]


def run_child(folder: Path, point: str, nth: int) -> int:
    """Let a child die at the point; give the last seq it acknowledged."""
    child = subprocess.run(
        [sys.executable, "-m", "tests.log.child", str(folder), point, str(nth)],
        cwd=ROOT,
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert child.returncode == -signal.SIGKILL, f"{point} was never reached: {child.stderr.decode()}"
    return int(child.stdout.split()[-1]) if child.stdout else 0


@pytest.mark.parametrize(("point", "nth"), CASES)
def test_open_after_a_kill_has_all_that_was_acknowledged(tmp_path: Path, point: str, nth: int) -> None:
    acknowledged = run_child(tmp_path, point, nth)
    with closing(open_small(tmp_path, known_seq=acknowledged)) as log:
        check_all(log, max(acknowledged, 1))
        fill(log, batches=30)
        check_all(log, acknowledged + 90)
    report = verify(tmp_path)
    assert report.whole
    assert not list(tmp_path.glob("*.tmp"))
    paths = segment_files(tmp_path)
    for path, following in itertools.pairwise(paths):
        assert int(path.stem, 16) + path.stat().st_size == int(following.stem, 16)


def test_open_after_many_kills_of_one_folder(tmp_path: Path) -> None:
    acknowledged = 0
    for i, (point, nth) in enumerate(CASES):
        if point.startswith("create") and i:
            continue
        acknowledged = max(acknowledged, run_child(tmp_path, point, nth))
    with closing(open_small(tmp_path, known_seq=acknowledged)) as log:
        check_all(log, acknowledged)
    assert verify(tmp_path).whole
