"""What each lens costs at 10, 100 and 1,000 candidates: `python -m bench lenses`.

Asked in process, through the same function that answers HTTP, on a real view: found, enriched (signatures,
votes, trust), resolved, and made into a reply. Half of the claims are endorsed or voted on.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from time import perf_counter

from bench._claims import checked
from bench.log import percentile
from stemedb.client import sign
from stemedb.engine import Change, Engine, EngineSettings, VoteChange, open_engine
from stemedb.errors import StemedbError
from stemedb.lens import LENSES
from stemedb.model import Assertion, ObjectKind, Signer, Tier, Value, assertion_id, canonical_bytes
from stemedb.model.records import VoteRecord
from stemedb.model.statements import Vote, vote_id
from stemedb.query import Question, ask, ask_constraints, ask_layered, ask_skeptic

SIZES = (10, 100, 1_000)
ASKED = {10: 1_000, 100: 400, 1_000: 100}
NOW_S = 1_760_000_000
VALUES = 5
SIGNERS = tuple(Signer(bytes([number]) * 32) for number in range(1, 51))
BATCH = 500


def changes(size: int) -> list[Change]:
    """Return `size` claims about one question, endorsements of every second and votes on every fourth."""
    found: list[Change] = []
    for number in range(size):
        content = Assertion(
            f"thing/{size}",
            "must_use",
            Value(ObjectKind.NUMBER, float(number % VALUES)),
            0.5 + (number % 50) / 100,
            NOW_S - 3_600 * number,
            Tier(number % len(Tier)),
        )
        author, other = SIGNERS[number % len(SIGNERS)], SIGNERS[(number + 7) % len(SIGNERS)]
        found.append(checked(sign(content, author)))
        if number % 2:
            found.append(checked(sign(content, other)))
        if number % 4 == 0:
            vote = Vote(assertion_id(canonical_bytes(content)), other.agent_id, 0.5, NOW_S)
            found.append(VoteChange(VoteRecord(vote, other.sign(vote_id(vote), NOW_S).signature)))
    return found


def load(engine: Engine) -> None:
    """Write all sizes."""
    for size in SIZES:
        waiting = iter(changes(size))
        while batch := list(islice(waiting, BATCH)):
            for result in engine.submit(batch):
                if isinstance(result, StemedbError):
                    raise result


def asked(engine: Engine, size: int) -> dict[str, Callable[[], object]]:
    """Return each lens's question."""
    question = Question(f"thing/{size}", "must_use")
    found: dict[str, Callable[[], object]] = {
        lens: partial(ask, engine.view, Question(f"thing/{size}", "must_use", lens), NOW_S) for lens in LENSES
    }
    for name, function in (
        ("skeptic", ask_skeptic),
        ("layered", ask_layered),
        ("constraints", ask_constraints),
    ):
        found[name] = partial(function, engine.view, question, NOW_S)
    return found


def took_ms(ask_once: Callable[[], object], times: int) -> Sequence[float]:
    """Return how long each of `times` questions took, after a few that warm up."""
    for _ in range(5):
        ask_once()
    took = []
    for _ in range(times):
        began = perf_counter()
        ask_once()
        took.append((perf_counter() - began) * 1000)
    return took


def main() -> None:
    """Measure and print."""
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        engine = open_engine(EngineSettings(folder / "wal", folder / "db", folder / "keys", 64 << 20, 1))
        try:
            load(engine)
            for size in SIZES:
                for lens, ask_once in asked(engine, size).items():
                    took = list(took_ms(ask_once, ASKED[size]))
                    row = figures.setdefault(lens, {})
                    row[f"p50_{size}_ms"] = round(percentile(took, 0.5), 3)
                    row[f"p99_{size}_ms"] = round(percentile(took, 0.99), 3)
        finally:
            engine.close()
    columns = list(next(iter(figures.values())))
    print(f"{'lens':<24}" + "".join(f"{column:>14}" for column in columns))
    for lens, row in figures.items():
        print(f"{lens:<24}" + "".join(f"{row[column]:>14.3f}" for column in columns))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
