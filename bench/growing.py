"""What size costs: `python -m bench.growing [CLAIMS ...]`; the default is 10,000 and 100,000.

For each number of claims, against the first: the p99 of a question (10 candidates, 16 clients, each about
another subject), the anonymous memory of its processes, and the seconds of a start. The long form is 10000
1000000 10000000; a million claims take some minutes and 1.2 GB of disk.
"""

from __future__ import annotations

import random
import sys
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench._claims import bulks, questions
from bench._compare import Ratio, interleave, ratio, report
from bench._fill import fill
from bench._load import run_load
from bench._sides import Side, scratch, stemedb
from stemedb import limits

SIZES = (10_000, 100_000)
EACH = 10  # claims about one subject
ASKED = 2000
SECONDS = 3.0
APART = 90_000_000  # beyond the numbers of all claims that are asked for


def anonymous_mb(side: Side) -> float:
    """Return the anonymous memory of a service and its verifiers (proportional set size, megabytes)."""
    run_load(side.port, bulks(APART, limits.BULK_CHUNK_LINES_MAX, 1), clients=1)  # so that they are there
    tasks = Path(f"/proc/{side.pid}/task").glob("*/children")
    pids = [side.pid, *(int(pid) for task in tasks for pid in task.read_text().split())]
    rollups = [Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() for pid in pids]
    return sum(
        int(line.split()[1]) / 1024 for lines in rollups for line in lines if line.startswith("Pss_Anon:")
    )


def p99_ms(side: Side, size: int, number: int) -> float:
    """Return the p99 of questions about subjects drawn anew each round."""
    chance = random.Random(number)
    subjects = [f"fda://drug/{chance.randrange(size // EACH):07}" for _ in range(ASKED)]
    return run_load(
        side.port, questions("/v1/query?lens=recency", subjects), clients=16, seconds=SECONDS
    ).p99_ms


def start_s(folder: Path, _round: int) -> float:
    """Return the seconds from the start of the process until it is ready."""
    began = time.perf_counter()
    with stemedb(folder):
        return time.perf_counter() - began


def main(arguments: list[str]) -> None:
    """Measure and print."""
    sizes = [int(each) for each in arguments] or list(SIZES)
    found: list[Ratio] = []
    with scratch() as parent, ExitStack() as stack:
        folders = {f"{size:,} claims": parent / str(size) for size in sizes}
        for size, folder in zip(sizes, folders.values(), strict=True):
            folder.mkdir()
            with stemedb(folder) as side:
                fill(side, size)
        starts = interleave({name: partial(start_s, folder) for name, folder in folders.items()})
        sides = {name: stack.enter_context(stemedb(folder)) for name, folder in folders.items()}
        asked = {name: partial(p99_ms, sides[name], size) for name, size in zip(folders, sizes, strict=True)}
        p99s = interleave(asked)
        memory = {name: [anonymous_mb(side)] for name, side in sides.items()}
    first, *others = folders
    for name in others:
        found += [
            ratio(f"p99 of a question, {name}", p99s, name, first, "ms"),
            ratio(f"anonymous memory, {name}", memory, name, first, "MB"),
            ratio(f"start, {name}", starts, name, first, "s"),
        ]
    report("growing", found)


if __name__ == "__main__":
    main(sys.argv[1:])
