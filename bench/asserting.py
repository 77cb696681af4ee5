"""One durable signed claim a request: `python -m bench asserting`.

`POST /v1/assert` at 1, 16 and 64 clients against the same requests answered with a constant. Every claim is
new, verified, and on stable storage before it is answered.
"""

from __future__ import annotations

from functools import partial

from bench._claims import asserts
from bench._compare import ROUNDS, Ratio, interleave, ratio, report
from bench._fill import prepare
from bench._load import run_load
from bench._sides import Side, noop, scratch, stemedb

REQUESTS = {1: 500, 16: 2000, 64: 4000}


def rate(side: Side, clients: int, number: int) -> float:
    """Return requests a second of one round; claims of different rounds are different."""
    first = (number + (ROUNDS + 1) * list(REQUESTS).index(clients)) * max(REQUESTS.values())
    return run_load(side.port, asserts(first, REQUESTS[clients]), clients=clients).per_s


def main() -> None:
    """Measure and print."""
    found: list[Ratio] = []
    with scratch() as folder, stemedb(folder) as ours, noop() as base:
        prepare(ours)
        for clients in REQUESTS:
            taken = interleave({side.name: partial(rate, side, clients) for side in (ours, base)})
            found.append(ratio(f"{clients} clients", taken, ours.name, base.name, "requests a second"))
    report("asserting", found)


if __name__ == "__main__":
    main()
