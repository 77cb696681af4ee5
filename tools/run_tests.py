"""Run the checks behind `make lint`, `make test`, `make test-slow` and `make soak`, and count them.

Every step runs, whatever failed before it. Groups come one after the other; the lanes of a group run beside
each other, each doing its steps in their order. A failing step's output is shown, every step's is kept below
`build/test-logs/`. The last line is `N passed, N failed, N skipped`, summed over all steps: a linter or a
Molecule scenario counts as one, a pytest run as its tests. The exit status is 0 only when nothing failed.

`ALLOW_MISSING=1` lets a step whose means are missing (another Python, Debian packages) count as skipped.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
LOGS = ROOT / "build" / "test-logs"
OLDEST_PYTHON = "3.10"
SHOWN_LINES_MAX = 200
CHECK_TIMEOUT_S = 600
PYTEST_TIMEOUT_S = 2400
SLOW_TIMEOUT_S = 3600
SCENARIO_TIMEOUT_S = 2700  # an emulated machine beside other work
SOAK_TIMEOUT_S = 24 * 3600


class Counts(NamedTuple):
    """What one step came to."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def plus(self, other: Counts) -> Counts:
        """Add two steps' counts."""
        return Counts(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


class Step(NamedTuple):
    """One command. `prepare` comes before it: when that fails, its means are missing."""

    name: str
    command: list[str]
    timeout_s: int = CHECK_TIMEOUT_S
    junit: bool = False
    prepare: list[str] | None = None


Lane = Sequence[Step]
"""Steps that are done one after the other."""
Group = Sequence[Lane]
"""Lanes that run beside each other."""


def shell_scripts() -> list[str]:
    """Return the files that open with bash's name."""
    candidates = [
        path for folder in ("tools", ".ci", "molecule", "roles") for path in ROOT.glob(f"{folder}/**/*")
    ]
    return sorted(
        str(path.relative_to(ROOT))
        for path in candidates
        if path.is_file() and path.read_bytes().startswith(b"#!/usr/bin/env bash")
    )


def lint_steps() -> list[Step]:
    """Return the static checks: one each, so that the summary names what is wrong."""
    commands = {
        "ruff": ["ruff", "check"],
        "format": ["ruff", "format", "--check"],
        "types": ["mypy"],
        "layers": ["lint-imports"],
        "shell": ["shellcheck", *shell_scripts()],
        "yaml": ["yamllint", "--strict", "."],
        "ansible-lint": ["ansible-lint", "--strict"],
        "advisories": ["python", "-m", "tools.check_advisories"],
    }
    return [Step(name, [str(BIN / tool), *args]) for name, (tool, *args) in commands.items()]


def pytest_step(
    name: str, marker: str, *more: str, python: str = "", timeout_s: int = PYTEST_TIMEOUT_S
) -> Step:
    """Return a run of the tests that `marker` selects, on the controller's Python or on another one."""
    folder = ROOT / (f".venv-{python}" if python else ".venv")
    prepare = [str(ROOT / "tools" / "venv"), "service", python] if python else None
    return Step(
        name,
        [str(folder / "bin" / "pytest"), "-m", marker, f"--junit-xml={LOGS / name}.xml", *more],
        timeout_s=timeout_s,
        junit=True,
        # What is slow starts machines of its own.
        prepare=[str(ROOT / "tools" / "bootstrap")] if marker.startswith("slow") else prepare,
    )


def power_step(marker: str, timeout_s: int) -> Step:
    """Return a run of the tests on virtual machines, which bring their own Python: one run is enough."""
    patience = ("-o", f"faulthandler_timeout={timeout_s}")  # an emulated machine takes its time to boot
    step = pytest_step("power", f"vm and {marker}", *patience, "tests/power", timeout_s=timeout_s)
    return step._replace(prepare=[str(ROOT / "tools" / "bootstrap")])


def packages_step(name: str) -> Step:
    """Return the tests, marked by `name`, that need Debian packages: Prometheus' own tools, a browser."""
    step = pytest_step(name, f"{name} and not slow")
    return step._replace(prepare=[str(ROOT / "tools" / "bootstrap")])


def scenario_step(name: str) -> Step:
    """Return one of Molecule's scenarios."""
    return Step(
        f"host-{name}",
        [str(BIN / "molecule"), "test", "--scenario-name", name],
        timeout_s=SCENARIO_TIMEOUT_S,
        prepare=[str(ROOT / "tools" / "bootstrap")],
    )


def slow_group() -> Group:
    """Return what starts hosts, in two lanes of about the same length: each keeps one processor busy.

    A real image's scenario comes only where an image is named.
    """
    days = "tests/host/days"
    image = [scenario_step("image")] if os.environ.get("STEMEDB_TEST_IMAGE") else []
    return [
        [
            pytest_step("slow-days", "slow", days, timeout_s=SLOW_TIMEOUT_S),
            pytest_step("slow", "slow and not vm", f"--ignore={days}", timeout_s=SLOW_TIMEOUT_S),
        ],
        [
            scenario_step("vm"),
            power_step("slow", SLOW_TIMEOUT_S),
            scenario_step("watching"),
            scenario_step("standin"),
            *image,
        ],
    ]


def groups_of(target: str) -> list[Group]:
    """Return a target's groups in the order of what fails fastest."""
    if target == "lint":
        return alone(lint_steps())
    if target == "test":
        quick = "not slow and not soak and not vm and not measured and not watching and not browser"
        older = pytest_step(f"service-{OLDEST_PYTHON}", quick, python=OLDEST_PYTHON)
        return [
            *alone(lint_steps()),
            # Each waits for its own servers for much of its time.
            [[pytest_step("service", quick)], [older]],
            *alone([pytest_step("measured", "measured and not slow and not soak")]),
            *alone([packages_step("watching"), packages_step("browser")]),
            *alone([scenario_step("default")]),
            *alone([power_step("not slow", PYTEST_TIMEOUT_S)]),
        ]
    if target == "test-slow":
        return [slow_group()]
    if target == "soak":
        return alone([pytest_step("soak", "soak", timeout_s=SOAK_TIMEOUT_S)])
    raise SystemExit(f"unknown target {target}: lint, test, test-slow or soak")


def alone(steps: Sequence[Step]) -> list[Group]:
    """Return each step as a group of its own."""
    return [[[step]] for step in steps]


class Children:
    """The commands that run now, so that the end of the runner is theirs, too."""

    def __init__(self) -> None:
        """Start with none."""
        self._running: set[subprocess.Popen[bytes]] = set()
        self._ended = False

    def run(self, command: list[str], log: Path, timeout_s: int) -> int:
        """Run `command` into `log`; end its whole group when it takes too long."""
        env = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"}
        with log.open("ab") as out:
            child = subprocess.Popen(
                command,
                cwd=ROOT,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._running.add(child)
            try:
                if self._ended:  # the end came before this, which is its lane's next
                    return 143
                return child.wait(timeout_s)
            except subprocess.TimeoutExpired:
                out.write(f"\nended after {timeout_s} s\n".encode())
                return 124
            finally:
                end(child)
                self._running.discard(child)

    def end(self) -> None:
        """End all of them, and whatever is begun from now on."""
        self._ended = True
        for child in tuple(self._running):
            end(child)


def end(child: subprocess.Popen[bytes]) -> None:
    """End a command and what it started, if it still runs."""
    if child.poll() is not None:
        return
    with suppress(ProcessLookupError):  # it ended just now
        os.killpg(child.pid, signal.SIGTERM)
    try:
        child.wait(20)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def junit_counts(report: Path, status: int) -> Counts:
    """Read pytest's own counts; a run that broke without a failed test still counts as failed."""
    if not report.exists():
        return Counts(failed=1)
    total = Counts()
    for suite in ET.parse(report).getroot().iter("testsuite"):  # noqa: S314  (written by our own pytest)
        tests, failures, errors, skipped = (
            int(suite.get(key, "0")) for key in ("tests", "failures", "errors", "skipped")
        )
        total = total.plus(Counts(tests - failures - errors - skipped, failures + errors, skipped))
    broken = status != 0 and total.failed == 0
    return total.plus(Counts(failed=1)) if broken else total


def perform(step: Step, children: Children) -> Counts:
    """Run one step, say how it went in one line, and show the output of a failure."""
    log = LOGS / f"{step.name}.log"
    log.unlink(missing_ok=True)
    report = LOGS / f"{step.name}.xml"
    report.unlink(missing_ok=True)
    started = time.monotonic()
    if step.prepare and children.run(step.prepare, log, CHECK_TIMEOUT_S):
        counts = Counts(skipped=1) if os.environ.get("ALLOW_MISSING") else Counts(failed=1)
    else:
        status = children.run(step.command, log, step.timeout_s)
        if step.junit:
            counts = junit_counts(report, status)
        else:
            counts = Counts(failed=1) if status else Counts(passed=1)
    told = [f"{step.name:<14} {time.monotonic() - started:7.1f} s  {counts}"]
    if counts.failed or (counts.skipped and not step.junit):
        told += tail(log)
    print("\n".join(told), flush=True)
    return counts


def tail(log: Path) -> list[str]:
    """Return the end of a step's output, indented."""
    lines = log.read_text(errors="replace").splitlines()
    left_out = len(lines) - SHOWN_LINES_MAX
    above = [f"    ... {left_out} lines more in {log.relative_to(ROOT)}"] if left_out > 0 else []
    return above + [f"    {line}" for line in lines[-SHOWN_LINES_MAX:]]


def perform_lane(lane: Lane, children: Children) -> list[tuple[str, Counts]]:
    """Run step after step; return each one's name and counts."""
    return [(step.name, perform(step, children)) for step in lane]


def perform_all(groups: Sequence[Group]) -> list[tuple[str, Counts]]:
    """Run group after group; return each step's name and counts."""
    children = Children()
    results: list[tuple[str, Counts]] = []
    for group in groups:
        if sys.stdout.isatty():
            print(f"{', '.join(step.name for lane in group for step in lane)} ...", end="\r", flush=True)
        with ThreadPoolExecutor(len(group)) as pool:
            try:
                done = list(pool.map(lambda lane: perform_lane(lane, children), group))
            except BaseException:
                children.end()
                raise
        results += chain.from_iterable(done)
    return results


def main(targets: list[str]) -> int:
    """Run the targets' steps; return the exit status."""
    # Being ended must end the steps as well: they have process groups of their own.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    LOGS.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    results = [each for target in targets for each in perform_all(groups_of(target))]
    total = Counts()
    for _, counts in results:
        total = total.plus(counts)
    failed = [name for name, counts in results if counts.failed]
    print(f"\n{len(results)} steps in {time.monotonic() - started:.0f} s" + ("" if failed else ", all well"))
    if failed:
        print(f"failed: {', '.join(failed)}")
    print(total)
    return 1 if failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
