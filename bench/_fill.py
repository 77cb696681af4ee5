"""Claims that are there already when something is measured: `python -m bench --claims 1000000 NAME ...`."""

from __future__ import annotations

import os
import sys

from bench._claims import bulks
from bench._load import run_load
from bench._sides import Side

ENV = "BENCH_CLAIMS"
_BULK_LINES = 10_000
_APART = 50_000_000  # beyond the numbers of all claims that are measured with


def there_already() -> int:
    """Return how many claims shall lie there."""
    return int(os.environ.get(ENV, "0"))


def fill(side: Side, size: int, first: int = 0) -> None:
    """Write so many claims, from number `first` on."""
    for at in range(0, size, _BULK_LINES):
        run_load(side.port, bulks(first + at, min(_BULK_LINES, size - at), 1), clients=1)
        if sys.stderr.isatty():
            print(f"\r{at + _BULK_LINES:,} of {size:,} claims", end="", file=sys.stderr)


def prepare(side: Side) -> None:
    """Let the claims be there that were asked for."""
    fill(side, there_already(), _APART)
