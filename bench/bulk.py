"""Many claims a request: `python -m bench bulk`.

`POST /v1/assert/bulk` with 100 and 10,000 lines, one client, against the limit of the write path without HTTP
(`bench/_rawpath.py`: the same verifiers, LMDB flags and rows).
"""

from __future__ import annotations

from functools import partial
from itertools import count
from pathlib import Path

from bench._claims import bulks, spread
from bench._compare import Ratio, interleave, ratio, report
from bench._fill import prepare
from bench._load import run_load
from bench._rawpath import measure
from bench._sides import Side, scratch, stemedb

LINES = {100: 20, 10_000: 2}
RAW_LINES = 20_000


def main() -> None:
    """Measure and print."""
    found: list[Ratio] = []
    fresh = count()

    def rate(side: Side, lines: int, _round: int) -> float:
        requests = bulks(next(fresh) * 100_000, lines, LINES[lines])
        return run_load(side.port, requests, clients=1).per_s * lines

    def limit(folder: Path, number: int) -> float:
        return measure(folder / f"raw-{number}", list(spread(0, RAW_LINES)))

    for lines in LINES:
        with scratch() as folder, stemedb(folder) as ours:
            prepare(ours)
            sides = {ours.name: partial(rate, ours, lines), "the write path alone": partial(limit, folder)}
            taken = interleave(sides)
            found.append(
                ratio(f"{lines:,} lines", taken, ours.name, "the write path alone", "claims a second")
            )
    report("bulk", found)


if __name__ == "__main__":
    main()
