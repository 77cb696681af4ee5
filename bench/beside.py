"""Reads beside writes: `python -m bench beside`.

A mix of nine questions to one durable claim against the same mix answered with a constant, at 16 clients; and
the p99 of a question at four clients while bulk runs, against its p99 when all is quiet.
"""

from __future__ import annotations

from functools import partial
from itertools import count

from bench._claims import asserts, bulks, questions
from bench._compare import Ratio, interleave, ratio, report
from bench._load import Load, finish_load, run_load, start_load
from bench._sides import Side, noop, scratch, stemedb
from bench.asking import SUBJECTS, load, subject

MIXED = 2000
WRITES_IN = 10  # one of so many requests
BULK_LINES = 20_000
QUIET_S = 3.0
CLIENTS = 4
_fresh = count(1)


def mixed(side: Side, _round: int) -> float:
    """Return requests a second of the mix."""
    reads = questions("/v1/query?lens=recency", [subject(10, number) for number in range(SUBJECTS[10])])
    writes = asserts(next(_fresh) * 100_000, MIXED // WRITES_IN)
    requests = [
        writes[at // WRITES_IN] if at % WRITES_IN == 0 else reads[at % len(reads)] for at in range(MIXED)
    ]
    return run_load(side.port, requests, clients=16).per_s


def question_p99_ms(side: Side, _round: int, *, busy: bool) -> float:
    """Return the p99 of a question at four clients (milliseconds), while bulk runs or not."""
    requests = questions("/v1/query?lens=recency", [subject(10, number) for number in range(SUBJECTS[10])])
    if not busy:
        return run_load(side.port, requests, clients=CLIENTS, seconds=QUIET_S).p99_ms
    bulk = start_load(side.port, bulks(next(_fresh) * 100_000, BULK_LINES, 4), clients=1)
    asked: Load = run_load(side.port, requests, clients=CLIENTS, seconds=QUIET_S)
    if bulk.poll() is not None:
        raise SystemExit("bulk ended before the questions did: give it more lines")
    finish_load(bulk)
    return asked.p99_ms


def main() -> None:
    """Measure and print."""
    found: list[Ratio] = []
    with scratch() as folder, stemedb(folder) as ours, noop() as base:
        load(ours)
        taken = interleave({side.name: partial(mixed, side) for side in (ours, base)})
        found.append(ratio("nine questions to one claim", taken, ours.name, base.name, "requests a second"))
        sides = {
            "busy": partial(question_p99_ms, ours, busy=True),
            "quiet": partial(question_p99_ms, ours, busy=False),
        }
        found.append(ratio("p99 of a question beside bulk", interleave(sides), "busy", "quiet", "ms"))
    report("beside", found)


if __name__ == "__main__":
    main()
