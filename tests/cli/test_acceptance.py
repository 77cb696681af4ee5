"""`stemedb acceptance`: the pilot's criteria on a running service.

Units of a host want a host; here are short loads on a service of the test's own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stemedb.cli.trial import criteria
from stemedb.cli.trial.criteria import FAIL, NOT_RUN, PASS, Trying, examine
from stemedb.cli.trial.moments import MOMENTS
from stemedb.cli.trial.pace import Times
from stemedb.client import Client
from stemedb.errors import StemedbError
from tests.cli.running import Cli
from tests.e2e.service import ServiceProcess

FAILING = "import sys; print('at work', file=sys.stderr); print('fail: nothing is whole'); sys.exit(65)"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ServiceProcess]:
    """Return a running service of this test's own."""
    with closing(ServiceProcess(tmp_path)) as started:
        yield started.start()


def test_examine_tries_every_criterion_and_says_what_it_could_not(
    service: ServiceProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(criteria, "CLAIMS", 500)
    trying = Trying(
        lambda: Client(service.url), 1.0, lambda _: lambda _: None, None, None, None, wait_for_alert=False
    )
    found = {each.name: each for each in examine(trying)}
    assert [found[name].result for name in MOMENTS] == [PASS] * len(MOMENTS), found
    assert sum(each.result == NOT_RUN for each in found.values()) == 3
    # How quick a test machine is proves nothing: tried they were, and without a refusal.
    for name in ("questions", "ingests"):
        assert "/s for" in found[name].seen


def test_examine_names_what_fails_and_goes_on(service: ServiceProcess) -> None:
    trying = Trying(
        lambda: Client(service.url, patience_s=0),
        0.2,
        lambda _: lambda _: None,
        "stemedb-no-such-unit.service",
        "http://127.0.0.1:1",
        [sys.executable, "-c", FAILING],
        wait_for_alert=False,
    )
    service.stop()
    results = [each for each in examine(trying) if each.name not in MOMENTS]
    assert "fail: nothing is whole" in [each.seen for each in results]
    assert {each.result for each in results} == {FAIL}
    assert all(each.seen for each in results)


@pytest.mark.parametrize(
    ("times", "why"),
    [
        (Times(90, 1.0, 0.01, 0.05), "wanted 100/s"),
        (Times(100, 1.0, 0.01, 1.5), "p99"),
        (Times(100, 1.0, 0.01, 0.05, failures=("no room",)), "no room"),
    ],
)
def test_judge_refuses_what_is_too_slow_or_failed(times: Times, why: str) -> None:
    with pytest.raises(StemedbError, match=why):
        criteria.judge(times, times.per_s, 100.0, 1.0)


def test_acceptance_does_not_write_unasked(service: ServiceProcess, tmp_path: Path) -> None:
    cli = Cli(tmp_path / "home", service.url)
    done = cli.run("acceptance")
    assert done.returncode == 1
    assert "Say --yes" in done.stderr
    with Client(service.url) as client:
        assert client.health().assertions_count == 0
