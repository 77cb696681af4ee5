"""The pilot's criteria: each tried on a running server, and what came of it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.request import ProxyHandler, build_opener

from stemedb import limits
from stemedb.cli.trial.load import Trial, each
from stemedb.cli.trial.moments import MOMENTS, prepare
from stemedb.cli.trial.pace import Progress, Times, paced
from stemedb.errors import StemedbError

if TYPE_CHECKING:
    from stemedb.client import Client

PASS, FAIL, NOT_RUN = "pass", "fail", "not run"

CLAIMS: Final = 10_000
QUESTIONS_PER_S: Final = 100.0
QUESTION_P99_S: Final = 1.0
INGESTS_PER_S: Final = 1000.0
INGEST_P99_S: Final = 0.2
RECOVERY_S: Final = 30.0
SHORT_S: Final = 20.0
LONG_S: Final = 300.0
ALERT: Final = "StemedbDown"
_ALERT_WITHIN_S: Final = 300.0
_INGEST_CLAIMS: Final = 125  # in one request: 8 a second, where one client may send 10 (RATE_BULK_PER_S)
_INGESTERS: Final = 4
_READERS: Final = 8
_KEPT_UP: Final = 0.99  # of the pace that was asked for
_LENS: Final = "authority"
_LOOK_S: Final = 0.2
_COMMAND_TIMEOUT_S: Final = 1800.0


class Criterion(NamedTuple):
    """What was asked, what came of it (`PASS`, `FAIL`, `NOT_RUN`), and what was seen."""

    name: str
    result: str
    seen: str


class Trying(NamedTuple):
    """What the criteria are tried with.

    `unit` is the service's systemd unit, to be killed; `prometheus` is its URL; `drill` is the command that
    restores a backup. None where a criterion cannot be tried here.
    """

    connect: Callable[[], Client]
    seconds: float
    progress: Callable[[str], Progress]
    unit: str | None
    prometheus: str | None
    drill: Sequence[str] | None
    wait_for_alert: bool


def examine(trying: Trying) -> Iterator[Criterion]:
    """Yield what came of each criterion; what fails does not stop the next."""
    with ExitStack() as stack:
        trial = Trial(trying.connect, stack)
        yield _tried(f"{CLAIMS:,} claims are taken in", lambda: _load(trial))
        yield _tried("questions", lambda: _questions(trial, trying))
        yield _tried("ingests", lambda: _ingests(trial, trying))
    yield _recovery(trying)
    yield _drill(trying)
    yield _alerts(trying)
    with trying.connect() as client:
        yield _tried("the sample is told", lambda: _sample(client))
        for name, moment in MOMENTS.items():
            yield _tried(name, partial(moment, client))


def _tried(name: str, work: Callable[[], str]) -> Criterion:
    try:
        return Criterion(name, PASS, work())
    except StemedbError as error:
        return Criterion(name, FAIL, error.detail)


def _load(trial: Trial) -> str:
    began = time.perf_counter()
    trial.load(CLAIMS)
    return f"in {time.perf_counter() - began:.1f} s"


def _sample(client: Client) -> str:
    prepare(client)
    return "its statements stand"


def _questions(trial: Trial, trying: Trying) -> str:
    works = each(partial(trial.question, _LENS), _READERS)
    times = paced(works, QUESTIONS_PER_S, trying.seconds, trying.progress("questions"))
    return judge(times, times.per_s, QUESTIONS_PER_S, QUESTION_P99_S)


def _ingests(trial: Trial, trying: Trying) -> str:
    works = [trial.some_claims(_INGEST_CLAIMS) for _ in range(_INGESTERS)]
    pace = INGESTS_PER_S / _INGEST_CLAIMS
    times = paced(works, pace, trying.seconds, trying.progress("ingests"))
    return judge(times, times.per_s * _INGEST_CLAIMS, INGESTS_PER_S, INGEST_P99_S)


def judge(times: Times, per_s: float, wanted_per_s: float, p99_s: float) -> str:
    """Return what was seen of a load; raises `StemedbError` where it failed, fell behind or took too long."""
    seen = f"{per_s:,.0f}/s for {times.seconds:.0f} s, p99 {times.p99_s * 1000:.1f} ms"
    if times.failures:
        raise StemedbError(f"{len(times.failures)} requests failed, such as: {times.failures[0]}")
    if per_s < _KEPT_UP * wanted_per_s or times.p99_s >= p99_s:
        raise StemedbError(f"{seen}; wanted {wanted_per_s:,.0f}/s and p99 below {p99_s * 1000:,.0f} ms")
    return seen


def _recovery(trying: Trying) -> Criterion:
    name, unit = f"back within {RECOVERY_S:.0f} s of a crash, nothing lost", trying.unit
    if unit is None:
        return Criterion(name, NOT_RUN, "no unit to kill: --unit stemedb-api.service, as root on the host")
    return _tried(name, lambda: _crash(trying, unit))


def _crash(trying: Trying, unit: str) -> str:
    with trying.connect() as client:
        before = client.health()
    _run(["systemctl", "kill", "--signal=KILL", "--kill-who=main", unit])
    began = time.perf_counter()
    while time.perf_counter() - began < RECOVERY_S:
        # Any answer of another process: the one that was killed had been up for longer.
        with suppress(StemedbError), trying.connect() as client:
            after = client.health()
            if after.status in ("healthy", "degraded") and after.uptime_seconds < before.uptime_seconds:
                took_s = time.perf_counter() - began
                lost = before.assertions_count - after.assertions_count
                if lost > 0:
                    raise StemedbError(f"{lost} claims are gone")
                return f"serving after {took_s:.1f} s, {after.assertions_count:,} claims"
        time.sleep(_LOOK_S)
    raise StemedbError(f"not serving {RECOVERY_S:.0f} s after the kill")


def _drill(trying: Trying) -> Criterion:
    name, command = "a backup is restored", trying.drill
    if command is None:
        return Criterion(name, NOT_RUN, "no backups to restore: --backup-dir /backups, as root on the host")
    return _tried(name, lambda: _run(command))


def _alerts(trying: Trying) -> Criterion:
    name, url = "alerts fire", trying.prometheus
    if url is None:
        return Criterion(name, NOT_RUN, "no Prometheus to ask: --prometheus http://127.0.0.1:9090")
    if not trying.wait_for_alert:
        return _tried("alerts are armed", lambda: _rules(url))
    unit = trying.unit
    if unit is None:
        return Criterion(name, NOT_RUN, "no unit to stop: --unit stemedb-api.service, as root on the host")
    return _tried(name, lambda: _fire(url, unit))


def _rules(url: str) -> str:
    groups = _prometheus(url, "rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"] if rule["name"].startswith("Stemedb")]
    sick = [rule["name"] for rule in rules if rule["health"] == "err"]
    if not rules or sick:
        raise StemedbError(f"{len(rules)} rules; in error: {', '.join(sick) or 'none'}")
    targets = [
        each for each in _prometheus(url, "targets")["activeTargets"] if each["labels"]["job"] == "stemedb"
    ]
    if not targets or any(each["health"] != "up" for each in targets):
        raise StemedbError("Prometheus does not reach the service")
    return f"{len(rules)} rules without error, the service is scraped"


def _fire(url: str, unit: str) -> str:
    """Stop the service and its socket until the alert fires, start both again until it is gone."""
    units = [unit, unit.replace(".service", ".socket")]
    began = time.perf_counter()
    _run(["systemctl", "stop", *reversed(units)])
    try:
        _wait_for_alert(url, firing=True)
    finally:
        _run(["systemctl", "start", *reversed(units)])
    fired_s = time.perf_counter() - began
    _wait_for_alert(url, firing=False)
    return f"{ALERT} fired {fired_s:.0f} s after the service was stopped, and is gone again"


def _wait_for_alert(url: str, *, firing: bool) -> None:
    deadline = time.monotonic() + _ALERT_WITHIN_S
    while time.monotonic() < deadline:
        alerts = _prometheus(url, "alerts")["alerts"]
        fires = any(each["labels"]["alertname"] == ALERT and each["state"] == "firing" for each in alerts)
        if fires is firing:
            return
        time.sleep(1)
    raise StemedbError(
        f"{ALERT} {'does not fire' if firing else 'still fires'} after {_ALERT_WITHIN_S:.0f} s"
    )


def _prometheus(url: str, what: str) -> Any:  # noqa: ANN401 - JSON
    try:
        with build_opener(ProxyHandler({})).open(
            f"{url}/api/v1/{what}", timeout=limits.CLIENT_TIMEOUT_S
        ) as reply:
            return json.loads(reply.read())["data"]
    except (OSError, ValueError, KeyError) as error:
        raise StemedbError(f"Prometheus at {url} cannot be asked: {error}") from None


def _run(command: Sequence[str]) -> str:
    """Run a program to its end; return the last line of its result, raise it if it failed."""
    done = subprocess.run(  # noqa: S603 - systemctl, and this very program
        list(command), capture_output=True, text=True, timeout=_COMMAND_TIMEOUT_S, check=False
    )
    # What a program says while it works stands beside its result, which a refusal has none of.
    lines = (done.stdout.strip() or done.stderr.strip()).splitlines()
    if done.returncode:
        raise StemedbError(lines[-1] if lines else f"{command[0]} ended with {done.returncode}")
    return lines[-1] if lines else "done"
