"""The machine whose power is cut, and the figures that a run leaves behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tools.testvm import Image, Machine, converged

# The smallest segments there may be: cuts hit rotations too.
VARIABLES = {
    "stemedb_profile": "none",
    # Segments that rotate within a test, and a quota that a few writers cannot use up.
    "stemedb_settings": {"STEMEDB_WAL_SEGMENT_BYTES": 1024 * 1024, "STEMEDB_METER_QUOTA": 10_000_000},
}

JOURNAL = "journalctl --no-pager --lines=60 --output=short-precise --unit=stemedb-api.service"

Timed = Callable[[str], AbstractContextManager[None]]
_lines: list[str] = []


@pytest.fixture(scope="session")
def figures() -> list[str]:
    """Lines that the run prints at its end."""
    return _lines


@pytest.fixture(scope="session")
def timed(figures: list[str]) -> Timed:
    """Return what prints the seconds that a block took, at the end of the run."""

    @contextmanager
    def clock(what: str) -> Iterator[None]:
        started_s = time.monotonic()
        yield
        figures.append(f"{time.monotonic() - started_s:6.1f} s  {what}")

    return clock


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures."""
    if _lines:
        terminalreporter.section("power cuts")
        for line in _lines:
            terminalreporter.line(line)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Function) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show a failure with what the service and the machine said last."""
    report = yield
    machine = item.funcargs.get("machine")
    if report.failed and isinstance(machine, Machine):
        report.sections.append(("console", machine.console))
        if machine.running:
            journal = machine.ssh(JOURNAL, sudo=True, check=False)
            report.sections.append(("the service's journal", journal))
    return report


@pytest.fixture(scope="session")
def image(timed: Timed) -> Image:
    """Return the disk of a host that the playbook has converged."""
    with timed("image, from the cache or made"):
        return converged(VARIABLES)


@pytest.fixture(scope="module")
def machine(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Return a machine, switched off or as the test before left it."""
    machine = Machine.create(tmp_path_factory.mktemp("vm"), image)
    yield machine
    machine.close()
