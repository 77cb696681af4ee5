"""`stemedb bench`: what this host can do, beside what the pilot asks of one."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

import click

from stemedb.cli.output import print_json, print_table
from stemedb.cli.session import json_option
from stemedb.cli.trial.load import Trial, each
from stemedb.cli.trial.pace import Times, flat_out
from stemedb.cli.trial.scratch import scratch_folder, scratch_service
from stemedb.client import Client
from stemedb.engine.probes import sync_times
from stemedb.errors import StemedbError

PILOT_SYNC_MS = 10.0
PILOT_P99_MS = 200.0
PILOT_PER_S = 100.0
_LOADED = 5_000
_BULK_CLAIMS = 1_000
_WRITERS = 16
_READERS = 4
_LENS = "authority"


class Figure(NamedTuple):
    """One thing measured, and what the pilot document asks of it; `more`: more is better."""

    name: str
    value: float
    unit: str
    pilot: float
    more: bool = True

    @property
    def passes(self) -> bool:
        """Whether this host does what the pilot asks."""
        return self.value >= self.pilot if self.more else self.value <= self.pilot


@click.command(epilog="\b\nExample:\n  stemedb bench --folder /data")
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=None,
    help="Where the scratch folder is made: the disk that will hold the data. Default: the system's.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(1, 600),
    default=8.0,
    show_default=True,
    help="How long each of the three loads runs.",
)
@json_option
def bench(*, folder: Path | None, seconds: float, as_json: bool) -> int:
    """Measure the disk, then a service on a scratch folder: claims and questions a second, here.

    Clients run on this host too and take their part of it. Exit status: 0 if the host does what the pilot
    asks, 1 if it does not.
    """
    with scratch_folder(folder or Path(tempfile.gettempdir())) as scratch:
        figures = list(measure(scratch, seconds))
    if as_json:
        print_json({"figures": [{**each._asdict(), "passes": each.passes} for each in figures]})
    else:
        rows = [(each.name, _shown(each), _asked(each), "yes" if each.passes else "NO") for each in figures]
        print_table(("what", "this host", "the pilot asks", "enough"), rows)
    return 0 if all(each.passes for each in figures) else 1


def measure(scratch: Path, seconds: float) -> Iterator[Figure]:
    """Yield each figure, with a bar for each load on a terminal; raises what the service raises."""
    syncs = sync_times(scratch)
    yield Figure("write and sync, p99", syncs.p99_s * 1000, "ms", PILOT_SYNC_MS, more=False)
    with scratch_service(scratch) as url, ExitStack() as stack:
        trial = Trial(lambda: Client(url), stack)
        trial.load(_LOADED)
        name = "claims, one a request"
        yield from _latency(name, flat_out(each(trial.one_claim, _WRITERS), seconds, bar(name)))
        name = "claims in bulk"
        yield from _bulk(name, flat_out([trial.some_claims(_BULK_CLAIMS)], seconds, bar(name)))
        name = "questions"
        ask = partial(trial.question, _LENS)
        yield from _latency(name, flat_out(each(ask, _READERS), seconds, bar(name)))


def _latency(name: str, times: Times) -> Iterator[Figure]:
    _require_none_failed(name, times)
    yield Figure(name, times.per_s, "a second", PILOT_PER_S)
    yield Figure(f"{name}, p99", times.p99_s * 1000, "ms", PILOT_P99_MS, more=False)


def _bulk(name: str, times: Times) -> Iterator[Figure]:
    _require_none_failed(name, times)
    yield Figure(name, times.per_s * _BULK_CLAIMS, "a second", PILOT_PER_S)


def _require_none_failed(name: str, times: Times) -> None:
    if times.failures:
        raise StemedbError(f"{name}: {len(times.failures)} requests failed, such as: {times.failures[0]}")


def _shown(figure: Figure) -> str:
    return f"{figure.value:,.1f} {figure.unit}"


def _asked(figure: Figure) -> str:
    return f"{'at least' if figure.more else 'at most'} {figure.pilot:,.0f} {figure.unit}"


def bar(name: str) -> Callable[[float], None]:
    """Return what shows how far one load is, on a terminal only."""
    if not sys.stderr.isatty():
        return lambda _: None

    def show(part: float) -> None:
        sys.stderr.write(f"\r\x1b[K{name}: {part:.0%}" if part < 1 else "\r\x1b[K")
        sys.stderr.flush()

    return show
