"""`stemedb bench`, and the pace its loads are run at."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from stemedb.cli.trial.pace import flat_out, paced
from stemedb.errors import Unavailable
from tests.cli.running import Cli


@pytest.fixture
def offline(tmp_path: Path) -> Cli:
    """Return a command line without a server."""
    return Cli(tmp_path / "home", None)


def test_bench_measures_on_a_scratch_folder_and_leaves_nothing(offline: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    done = offline.run("bench", "--folder", folder, "--seconds", "1", "--json")
    figures = json.loads(done.stdout)["figures"]
    assert [each["name"] for each in figures] == [
        "write and sync, p99",
        "claims, one a request",
        "claims, one a request, p99",
        "claims in bulk",
        "questions",
        "questions, p99",
    ]
    assert all(each["value"] > 0 for each in figures)
    for each in figures:
        better = each["value"] >= each["pilot"] if each["more"] else each["value"] <= each["pilot"]
        assert each["passes"] is better
    assert done.returncode == (0 if all(each["passes"] for each in figures) else 1)
    assert list(folder.iterdir()) == []


def test_bench_names_a_folder_that_is_not_there(offline: Cli, tmp_path: Path) -> None:
    done = offline.run("bench", "--folder", tmp_path / "nowhere")
    assert done.returncode == 2
    assert "nowhere" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_flat_out_counts_what_was_done_and_keeps_what_failed() -> None:
    def fail() -> None:
        time.sleep(0.01)
        raise Unavailable("no room", code="no_space")

    times = flat_out([lambda: time.sleep(0.01), fail], 0.3)
    assert times.done
    assert times.p99_s >= times.p50_s >= 0.01
    assert set(times.failures) == {"no room"}


def test_paced_keeps_to_its_pace_and_says_when_it_cannot() -> None:
    calm = paced([lambda: None] * 4, 40.0, 0.5)
    assert calm.done == 20
    slow = paced([lambda: time.sleep(0.1)], 100.0, 0.3)
    assert slow.late
    assert slow.p99_s > 0.15, "waiting for a turn that came too late counts"
