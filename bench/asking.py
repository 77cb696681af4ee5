"""One question a request: `python -m bench asking`.

Without a lens, with each lens, skeptic and layered at 10 and 1,000 candidates, and one claim by its id,
against the same requests answered with a constant. Sixteen clients; each question is about another subject.
What was answered a moment ago is remembered; the rows `new` ask what was never asked before.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from bench._claims import claim_json, get, new_questions, post, questions
from bench._compare import Ratio, interleave, ratio, report
from bench._fill import prepare
from bench._load import run_load
from bench._sides import Side, noop, scratch, stemedb
from stemedb.lens import LENSES

CLIENTS = 16
SUBJECTS = {10: 500, 1000: 5}
SECONDS = {10: 1.0, 1000: 2.0}
BULK_LINES = 5000
NEW = {10: 20_000, 1000: 5000}  # more than are asked in one round
NEW_PATHS = ("/v1/query?lens=recency", "/v1/skeptic")
PATHS = ("/v1/query", *(f"/v1/query?lens={lens}" for lens in LENSES), "/v1/skeptic", "/v1/layered")


def subject(candidates: int, number: int) -> str:
    """Return the name of a subject with so many claims."""
    return f"thing://with/{candidates}/{number}"


def load(side: Side) -> list[str]:
    """Write all subjects, beside what shall be there already; return the ids of some claims."""
    prepare(side)
    lines = [
        claim_json(candidates * 1_000_000 + number * candidates + at, subject(candidates, number))
        for candidates, subjects in SUBJECTS.items()
        for number in range(subjects)
        for at in range(candidates)
    ]
    for first in range(0, len(lines), BULK_LINES):
        body = b"\n".join(lines[first : first + BULK_LINES]) + b"\n"
        run_load(side.port, [post("/v1/assert/bulk", body, "application/x-ndjson")], clients=1)
    return [line.rpartition(b'"hash":"')[2][:64].decode() for line in lines[:500]]


def rate(side: Side, requests_of: Callable[[int], list[bytes]], seconds: float, number: int) -> float:
    """Return questions a second of one round; `requests_of` gives what is asked in it."""
    return run_load(side.port, requests_of(number), clients=CLIENTS, seconds=seconds).per_s


def always(requests: list[bytes]) -> Callable[[int], list[bytes]]:
    """Give the same requests to every round."""
    return lambda _number: requests


def main() -> None:
    """Measure and print."""
    found: list[Ratio] = []
    with scratch() as folder, stemedb(folder) as ours, noop() as base:
        ids = load(ours)

        def compare(name: str, requests_of: Callable[[int], list[bytes]], seconds: float) -> None:
            sides = {side.name: partial(rate, side, requests_of, seconds) for side in (ours, base)}
            found.append(ratio(name, interleave(sides), ours.name, base.name, "questions a second"))

        for candidates, subjects in SUBJECTS.items():
            names = [subject(candidates, number) for number in range(subjects)]
            for path in PATHS:
                title = path.removeprefix("/v1/").replace("query?lens=", "")
                asked = questions(path, names)
                compare(f"{title}, {candidates:,} claims", always(asked), SECONDS[candidates])
            for path in NEW_PATHS:
                title = path.removeprefix("/v1/").replace("query?lens=", "")
                compare(
                    f"{title}, {candidates:,} claims, new",
                    partial(new_questions, path, names, NEW[candidates]),
                    SECONDS[candidates],
                )
        by_id = [get(f"/v1/assertion/{each}") for each in ids]
        compare("one claim by id", always(by_id), SECONDS[10])
    report("asking", found)


if __name__ == "__main__":
    main()
