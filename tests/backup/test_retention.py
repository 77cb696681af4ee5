"""Pruning: what is kept by days, weeks and months, and that it never takes a point away."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stemedb.backup.checking import check
from stemedb.backup.retention import Rules, made_at, plan, prune
from stemedb.backup.verify import verify
from stemedb.errors import NotFound
from tests.backup.helpers import TRUSTED, Data, restore_to

BEGIN = datetime(2026, 1, 1, 2, tzinfo=timezone.utc)


def names(hours: Sequence[int]) -> list[str]:
    """Return names of snapshots made so many hours after the beginning."""
    return [f"{BEGIN + timedelta(hours=each):%Y%m%dT%H%M%SZ}-{each + 1:012}" for each in sorted(set(hours))]


def test_a_year_of_days_leaves_days_weeks_and_months() -> None:
    daily = names(range(0, 365 * 24, 24))
    found = plan(daily, Rules(7, 4, 12))
    assert list(found.kept)[-7:] == daily[-7:]
    assert {made_at(name).month for name in found.kept} == set(range(1, 13))
    assert len(found.kept) == 7 + 2 + 11  # two of the weeks and one of the months end among the days
    assert sorted([*found.kept, *found.removed]) == daily
    assert found.kept[daily[-1]] == ["newest", "daily", "weekly", "monthly"]


def test_without_any_rule_the_newest_stays() -> None:
    assert list(plan(names([1, 2, 3]), Rules(0, 0, 0)).kept) == names([3])
    assert plan([], Rules(1, 1, 1)) == ({}, [])


counts = st.integers(0, 5)


@given(st.lists(st.integers(0, 24 * 400), max_size=40), counts, counts, counts)
def test_what_is_kept_is_the_newest_of_its_time_and_pruning_again_removes_nothing(
    hours: list[int], daily: int, weekly: int, monthly: int
) -> None:
    rules = Rules(daily, weekly, monthly)
    found = plan(names(hours), rules)
    assert plan(list(found.kept), rules).removed == []
    if hours:
        assert names(hours)[-1] in found.kept
    days = {made_at(name).date(): name for name in names(hours)}  # the last one of each day
    for day in sorted(days)[len(days) - min(daily, len(days)) :]:
        assert days[day] in found.kept


@pytest.mark.parametrize("remove", [False, True])
def test_a_folder_that_is_not_there_is_refused(tmp_path: Path, remove: bool) -> None:  # noqa: FBT001
    with pytest.raises(NotFound):
        prune(tmp_path / "none", Rules(1, 1, 1), remove=remove)


Step = st.one_of(
    st.tuples(st.just("say"), st.integers(1, 25)),
    st.tuples(st.just("backup"), st.integers(1, 24 * 20)),  # hours after the one before
    st.tuples(st.just("erase"), st.integers(0, 2**16)),
    st.tuples(st.just("prune"), st.integers(0, 3)),
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(Step, min_size=3, max_size=9), st.integers(0, 2**16))
def test_no_history_of_pruning_takes_a_point_away(steps: list[tuple[str, int]], choice: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="stemedb-prune-"))
    try:
        run_history(folder, steps, choice)
    finally:
        shutil.rmtree(folder)


def run_history(folder: Path, steps: list[tuple[str, int]], choice: int) -> None:
    """Take the steps; then each kept snapshot, the end, and any point in between must come back."""
    data, hours, gone = Data(folder), 0, set[int]()
    data.say(5)
    digests = {}
    for what, number in steps:
        if what == "say":
            data.say(number)
        elif what == "backup":
            hours += number
            made = data.backup()
            made.folder.rename(
                data.backups / names([hours])[0].replace(f"-{hours + 1:012}", made.folder.name[16:])
            )
            digests[made.manifest.seq] = data.digest()
        elif what == "erase":
            seq = 2 + number % 4
            if seq not in gone:
                gone.add(seq)
                data.erase(seq)
                digests.clear()  # what was erased does not come back, so earlier states are others now
        elif data.backups.exists():
            prune(data.backups, Rules(number, number % 2, 1), remove=True)
    data.backups.mkdir(exist_ok=True)
    data.archive()
    points = data.points()
    check(points)
    assert verify(data.backups, TRUSTED, full=True).whole
    for at in {*(point.manifest.seq for point in points.snapshots), 1 + choice % points.head.seq}:
        done = restore_to(data, folder / f"at-{at}", at)
        assert done.state_digest == digests.get(at, done.state_digest)
        assert restore_to_log(data, folder / f"log-{at}", at) == done.state_digest
    assert restore_to(data, folder / "end").state_digest == data.digest()


def restore_to_log(data: Data, folder: Path, at: int) -> str:
    """Restore a point without any snapshot; return the digest."""
    aside = [path.rename(path.with_name(f"aside-{path.name}")) for path in sorted(data.backups.glob("2*"))]
    try:
        return restore_to(data, folder, at).state_digest
    finally:
        for path in aside:
            path.rename(path.with_name(path.name.removeprefix("aside-")))
