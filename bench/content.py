"""What looking at content costs a claim: `python -m bench content`.

The same claims to a service with content defence and to one without, in turns; and what one text takes by its
length, in process: its scores, its sketch, and being compared with another.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from functools import partial

from bench._claims import NOW_S
from bench._compare import Ratio, interleave, ratio, report
from bench._load import run_load
from bench._sides import Side, scratch, stemedb
from stemedb.client.signing import encode, sign
from stemedb.guard.content import quality_of
from stemedb.model import Assertion, ObjectKind, Signer, Value
from stemedb.model.sketch import Sketcher, pieces_of, similarity

CLIENTS = 16
CLAIMS = 400  # of a round
AGENTS = tuple(Signer(bytes([number]) * 32) for number in range(1, 17))
LENGTHS = (200, 2_000, 20_000)  # characters of a text
ROUNDS_US = 30


def prose(chance: random.Random, length: int) -> str:
    """Return a text whose words are all its own, so that none is like another."""
    words = (f"{chance.getrandbits(24):x}" for _ in range(length // 6))
    return " ".join(words)[:length]


def values(kind: int | None, round_number: int) -> list[Value]:
    """Return the values of one round: numbers, or texts of so many characters."""
    chance = random.Random(round_number)
    if kind is None:
        return [Value(ObjectKind.NUMBER, float(at)) for at in range(CLAIMS)]
    return [Value(ObjectKind.TEXT, prose(chance, kind)) for _ in range(CLAIMS)]


def asserted(side: Side, kind: int | None, round_number: int) -> float:
    """Return claims a second of one round; claims of different rounds are different."""
    requests = []
    for at, value in enumerate(values(kind, round_number)):
        content = Assertion(f"content/{at % 50}", f"p{round_number}", value, 0.5, NOW_S - at)
        body = encode(sign(content, AGENTS[at % len(AGENTS)]))[0]
        head = f"POST /v1/assert HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        requests.append(head.encode() + body)
    return run_load(side.port, requests, clients=CLIENTS).per_s


def cost() -> list[Ratio]:
    """Return what claims cost with content defence, against without."""
    found = []
    with (
        scratch() as folder,
        stemedb(folder / "on", STEMEDB_CONTENT_DEFENSE_ENABLED="true") as on,
        stemedb(folder / "off") as off,
    ):
        for kind in (None, *LENGTHS):
            name = "a number" if kind is None else f"a text of {kind:,} characters"
            sides: dict[str, Callable[[int], float]] = {
                "on": partial(asserted, on, kind),
                "off": partial(asserted, off, kind),
            }
            found.append(ratio(name, interleave(sides), "on", "off", "claims a second"))
    return found


def taken_us(work: Callable[[], object]) -> list[float]:
    """Return how long each of some calls took of the processor, in microseconds."""
    taken = []
    for _ in range(ROUNDS_US):
        began = time.thread_time_ns()
        work()
        taken.append((time.thread_time_ns() - began) / 1000)
    return taken


def parts_us() -> dict[str, dict[int, float]]:
    """Return the median processor time (microseconds) of each part, by the length of the text."""
    sketcher, chance = Sketcher(bytes(32)), random.Random(1)
    found: dict[str, dict[int, float]] = {"pieces": {}, "scores": {}, "sketch": {}, "comparison": {}}
    for length in LENGTHS:
        text, other = prose(chance, length), prose(chance, length)
        pieces = pieces_of(text)
        one, two = sketcher.sketch(pieces), sketcher.sketch(pieces_of(other))
        for name, work in (
            ("pieces", partial(pieces_of, text)),
            ("scores", partial(quality_of, text, pieces)),
            ("sketch", partial(sketcher.sketch, pieces)),
            ("comparison", partial(similarity, one, two)),
        ):
            found[name][length] = round(statistics.median(taken_us(work)), 1)
    return found


def main() -> None:
    """Measure and print."""
    parts = parts_us()
    for name, by_length in parts.items():
        shown = ", ".join(f"{length:,} characters {taken} us" for length, taken in by_length.items())
        print(f"{name}: {shown}")
    report("content", cost(), parts_us=parts)


if __name__ == "__main__":
    main()
