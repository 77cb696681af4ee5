"""The test runner itself: what it counts, and that nothing broken passes for green."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools import run_tests
from tools.run_tests import Children, Counts, Step

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the runner's logs and its idea of the repository in a folder of the test's own."""
    monkeypatch.setattr(run_tests, "ROOT", tmp_path)
    monkeypatch.setattr(run_tests, "LOGS", tmp_path)
    return tmp_path


def python(name: str, code: str, timeout_s: int = 60, prepare: str | None = None) -> Step:
    """Return a step that runs a line of Python."""
    before = [sys.executable, "-c", prepare] if prepare else None
    return Step(name, [sys.executable, "-c", code], timeout_s=timeout_s, prepare=before)


def pytest_run(logs: Path, source: str) -> Step:
    """Return a step that runs pytest on one file."""
    (logs / "test_it.py").write_text(source)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"]
    return Step("it", [*command, f"--junit-xml={logs / 'it.xml'}"], junit=True)


@pytest.mark.usefixtures("logs")
def test_perform_counts_a_command_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_tests.perform(python("good", "pass"), Children()) == Counts(passed=1)
    assert run_tests.perform(python("bad", "raise SystemExit('why it failed')"), Children()) == Counts(
        failed=1
    )
    assert "why it failed" in capsys.readouterr().out


def test_perform_counts_a_pytest_run_by_its_tests(logs: Path) -> None:
    source = (
        "import pytest\n"
        "def test_good(): pass\n"
        "def test_bad(): assert False\n"
        "@pytest.fixture\n"
        "def broken(): raise RuntimeError\n"
        "def test_broken(broken): pass\n"
        "def test_skipped(): pytest.skip('absent')\n"
    )
    assert run_tests.perform(pytest_run(logs, source), Children()) == Counts(passed=1, failed=2, skipped=1)


def test_perform_takes_a_run_without_tests_for_a_failure(logs: Path) -> None:
    assert run_tests.perform(pytest_run(logs, ""), Children()) == Counts(failed=1)
    assert run_tests.perform(pytest_run(logs, "import nothing_of_that_name"), Children()).failed


@pytest.mark.usefixtures("logs")
def test_perform_ends_what_takes_too_long() -> None:
    sleeps = "import subprocess, sys; subprocess.run(['sleep', '600'])"
    assert run_tests.perform(python("slow", sleeps, timeout_s=1), Children()) == Counts(failed=1)


@pytest.mark.usefixtures("logs")
def test_perform_fails_where_means_are_missing_unless_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    step = python("elsewhere", "pass", prepare="raise SystemExit('no such Python here')")
    monkeypatch.delenv("ALLOW_MISSING", raising=False)
    assert run_tests.perform(step, Children()) == Counts(failed=1)
    monkeypatch.setenv("ALLOW_MISSING", "1")
    assert run_tests.perform(step, Children()) == Counts(skipped=1)


@pytest.mark.usefixtures("logs")
def test_main_runs_every_step_and_ends_with_the_sum(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = [python("bad", "raise SystemExit(1)"), python("good", "pass")]
    monkeypatch.setattr(run_tests, "groups_of", lambda _: [[steps]])
    assert run_tests.main(["test"]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "1 passed, 1 failed, 0 skipped"


@pytest.mark.usefixtures("logs")
def test_perform_all_runs_a_group_side_by_side_and_groups_in_turn(tmp_path: Path) -> None:
    meet = (
        "import pathlib, time\n"
        "pathlib.Path({mine!r}).touch()\n"
        "while not pathlib.Path({other!r}).exists(): time.sleep(0.01)"
    )
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    group = [python("a", meet.format(mine=one, other=two)), python("b", meet.format(mine=two, other=one))]
    after = python("after", f"import os, sys; sys.exit(not os.path.exists({two!r}))")
    assert run_tests.perform_all([[[each] for each in group], [[after]]]) == [
        (name, Counts(passed=1)) for name in ("a", "b", "after")
    ]


@pytest.mark.usefixtures("logs")
def test_perform_all_does_the_steps_of_a_lane_in_turn(tmp_path: Path) -> None:
    mark = str(tmp_path / "mark")
    first = python("first", f"import pathlib, time; time.sleep(0.3); pathlib.Path({mark!r}).touch()")
    second = python("second", f"import os, sys; sys.exit(not os.path.exists({mark!r}))")
    assert run_tests.perform_all([[[first, second]]]) == [
        ("first", Counts(passed=1)),
        ("second", Counts(passed=1)),
    ]


def test_every_scenario_is_run_by_a_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMEDB_TEST_IMAGE", "docker.io/library/ubuntu:22.04")
    groups = [*run_tests.groups_of("test"), *run_tests.groups_of("test-slow")]
    names = [step.name for group in groups for lane in group for step in lane]
    scenarios = sorted(path.parent.name for path in REPOSITORY.glob("molecule/*/molecule.yml"))
    assert sorted(name for name in names if name.startswith("host-")) == [
        f"host-{name}" for name in scenarios
    ]


def test_a_runner_that_is_ended_takes_its_steps_along(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    step = (
        "import os, pathlib, time; "
        f"pathlib.Path({str(pid_file)!r}).write_text(str(os.getpid())); time.sleep(600)"
    )
    late_file = tmp_path / "late"
    late = f"import time; time.sleep(1); open({str(late_file)!r}, 'w')"
    code = (
        "import sys; from pathlib import Path; from tools import run_tests as r\n"
        f"r.ROOT = r.LOGS = Path({str(tmp_path)!r})\n"
        f"long = r.Step('long', [sys.executable, '-c', {step!r}])\n"
        f"late = r.Step('late', [sys.executable, '-c', {late!r}])\n"
        "r.groups_of = lambda _: [[[long, late]]]\n"
        "r.main(['test'])"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY) as runner:
        while not (pid_file.exists() and pid_file.read_text()):
            time.sleep(0.05)
        runner.terminate()
        runner.wait(30)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)
    assert not late_file.exists()
