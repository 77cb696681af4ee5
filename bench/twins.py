"""Against what one would build instead: `python -m bench twins`.

The same HTTP server, decoding and verifying, over tables in PostgreSQL and in sqlite, each claim durable
before it is answered: one claim a request at 64 clients, bulk, and the skeptic at 10 and 1,000 candidates.
First the twins' answers are held against ours.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from functools import partial
from http.client import HTTPConnection
from itertools import count
from math import isclose
from pathlib import Path
from typing import Any

from bench import _twin_postgres
from bench._claims import PREDICATE, asserts, bulks, new_questions, questions
from bench._compare import Ratio, interleave, ratio, report
from bench._load import run_load
from bench._sides import Side, scratch, stemedb, twin
from bench.asking import NEW, SUBJECTS, load, subject

ASSERTS = 3000
BULK_LINES = 10_000
CLIENTS = {10: 16, 1000: 16}
_fresh = count(1)


def single(side: Side, _round: int) -> float:
    """Return durable claims a second, one a request."""
    return run_load(side.port, asserts(next(_fresh) * 10_000, ASSERTS), clients=64).per_s


def many(side: Side, _round: int, *, signed: bool = True) -> float:
    """Return durable claims a second, in bulk."""
    requests = bulks(next(_fresh) * 10_000, BULK_LINES, 1, signed=signed)
    return run_load(side.port, requests, clients=1).per_s * BULK_LINES


def asking(side: Side, candidates: int, _round: int, *, new: bool = False) -> float:
    """Return quarrels a second; `new` ones were never asked for before."""
    names = [subject(candidates, number) for number in range(SUBJECTS[candidates])]
    requests = questions("/v1/skeptic", names)
    if new:
        requests = new_questions("/v1/skeptic", names, NEW[candidates], next(_fresh))
    return run_load(side.port, requests, clients=CLIENTS[candidates], seconds=2).per_s


def require_same(ours: Side, other: Side) -> None:
    """Stop where a twin answers something else: it would not do the same work."""
    for candidates in SUBJECTS:
        mine, its = (_quarrel(side, subject(candidates, 0)) for side in (ours, other))
        same = [
            a["claims_count"] == b["claims_count"]
            and a["agents_count"] == b["agents_count"]
            and isclose(a["share"], b["share"], rel_tol=1e-6)
            and a["newest"]["hash"] == b["newest"]["hash"]
            for a, b in zip(mine["claims"], its["claims"], strict=True)
        ]
        if not all(same) or not isclose(mine["conflict_score"], its["conflict_score"], rel_tol=1e-6):
            raise SystemExit(f"{other.name} answers otherwise: {mine} {its}")


def _quarrel(side: Side, name: str) -> dict[str, Any]:
    connection = HTTPConnection("127.0.0.1", side.port, timeout=30)
    connection.request("GET", f"/v1/skeptic?subject={name}&predicate={PREDICATE}")
    found: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return found


WORK = {
    "one claim": single,
    "bulk": many,
    "bulk, unsigned": partial(many, signed=False),
    "skeptic, 10 claims": partial(asking, candidates=10),
    "skeptic, 1,000 claims": partial(asking, candidates=1000),
    "skeptic, 10 claims, new": partial(asking, candidates=10, new=True),
    "skeptic, 1,000 claims, new": partial(asking, candidates=1000, new=True),
}


def compare(folder: Path, stack: ExitStack) -> list[Ratio]:
    """Measure all sides on `folder`. Unsigned claims are taken by all: there nobody verifies anything."""
    folder.mkdir()
    ours = stack.enter_context(stemedb(folder, STEMEDB_UNSAFE_SKIP_SIGNATURES="true"))
    others = []
    if _twin_postgres.missing() is None:
        where = stack.enter_context(_twin_postgres.cluster(folder))
        others.append(stack.enter_context(twin("postgres", where)))
    others.append(stack.enter_context(twin("sqlite", str(folder / "twin.sqlite"))))
    for side in (ours, *others):
        load(side)
    for other in others:
        require_same(ours, other)
    found = []
    for name, measure in WORK.items():
        taken = interleave({side.name: partial(_call, measure, side) for side in (ours, *others)})
        found += [ratio(name, taken, ours.name, other.name) for other in others]
    return found


def _call(measure: object, side: Side, number: int) -> float:
    return measure(side, _round=number)  # type: ignore[operator,no-any-return]


def main() -> None:
    """Measure and print."""
    if lacking := _twin_postgres.missing():
        print(f"{lacking}; measured against sqlite alone", file=sys.stderr)
    with scratch() as folder, ExitStack() as stack:
        report("twins", compare(folder / "all", stack))


if __name__ == "__main__":
    main()
