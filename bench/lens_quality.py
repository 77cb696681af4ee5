"""How often the lenses are right, on real quarrels whose truth is known: `python -m bench lens_quality`.

Seven web sites on the birth places of 6,005 people, and 35 on the flights of two days. Uploaded in three
orders of chance. `consensus` is held against a plain count; then gold standards for a tenth of the objects
move the trust of the sources, and the lenses are scored on the other nine tenths. The data may be used for
measuring but not shipped, so it lies beside the checkout. `python -m bench.lens_quality flights`: one kind.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from time import perf_counter

from bench._quarrels import CLAIMED_AT_S, DATA, DAYS, Quarrels, birthplaces, flights, within_10_min
from stemedb.engine import Change, Engine, EngineSettings, GoldStandard, open_engine
from stemedb.errors import StemedbError
from stemedb.model import ObjectKind, Value
from stemedb.model.records import GoldStandardRecord
from stemedb.model.replies import LensReply
from stemedb.query import Question, ask

SEEDS = (1, 2, 3)
GOLD_SHARE = 10
BATCH_CLAIMS = 500
SEGMENT_BYTES = 64 << 20

What = tuple[str, str]


@contextmanager
def loaded(quarrels: Quarrels, seed: int) -> Iterator[Engine]:
    """Yield an engine of its own that holds the claims, uploaded in the order of `seed`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        engine = open_engine(EngineSettings(folder / "wal", folder / "db", folder / "keys", SEGMENT_BYTES, 1))
        try:
            claims = quarrels.shuffled(seed)
            while batch := list(islice(claims, BATCH_CLAIMS)):
                _submit(engine, batch)
            yield engine
        finally:
            engine.close()


def answers(engine: Engine, lens: str, objects: Sequence[What]) -> dict[What, str]:
    """Return what a lens answers of each object, asked on the day of the claims."""
    found = {}
    for subject, predicate in objects:
        reply = ask(engine.view, Question(subject, predicate, lens), CLAIMED_AT_S).reply
        if isinstance(reply, LensReply) and reply.winner is not None:
            found[subject, predicate] = str(reply.winner.object.value)
    return found


def settle(engine: Engine, quarrels: Quarrels, seed: int) -> set[What]:
    """Set gold standards for a tenth of the objects with a known truth; return which."""
    known = sorted(what for what, truth in quarrels.truths.items() if truth)
    chosen = random.Random(seed).sample(known, len(known) // GOLD_SHARE)
    for what in chosen:
        truth = Value(ObjectKind.TEXT, quarrels.truths[what][0])
        _submit(engine, [GoldStandard(GoldStandardRecord(*what, truth, CLAIMED_AT_S))])
    return set(chosen)


def _submit(engine: Engine, changes: Sequence[Change]) -> None:
    for result in engine.submit(changes):
        if isinstance(result, StemedbError):
            raise result


def accuracy(quarrels: Quarrels, given: dict[What, str], objects: Sequence[What]) -> tuple[float, float]:
    """Return the share of right answers, and of those at most 10 minutes off (the same for other things)."""
    exact = near = 0
    for what in objects:
        truth, answer = quarrels.truths[what], given.get(what)
        exact += answer in truth
        if answer is not None and quarrels.name != "BirthPlaces":
            near += any(within_10_min(what[1], answer, each) for each in truth)
        else:
            near += answer in truth
    return exact / len(objects), near / len(objects)


def measure(quarrels: Quarrels, seed: int) -> dict[str, float | str]:
    """Load in the order of `seed`, ask, settle a tenth, ask again."""
    began = perf_counter()
    with loaded(quarrels, seed) as engine:
        load_s = perf_counter() - began
        majorities = quarrels.majorities()
        everything = sorted(quarrels.counts())
        began = perf_counter()
        given = answers(engine, "consensus", everything)
        ask_s = perf_counter() - began
        wrong = sum(given.get(what) != value for what, value in majorities.items())
        scored = sorted(quarrels.truths)
        exact, near = accuracy(quarrels, given, scored)
        neutral = accuracy(quarrels, answers(engine, "trust_aware_authority", scored), scored)
        began = perf_counter()
        settled = settle(engine, quarrels, seed)
        settle_s = perf_counter() - began
        others = [what for what in scored if what not in settled]
        held = accuracy(quarrels, given, others)
        trusted = accuracy(quarrels, answers(engine, "trust_aware_authority", others), others)
    return {
        "data": quarrels.name,
        "seed": seed,
        "claims": len(set(quarrels.claims)),
        "objects": len(everything),
        "no_tie": len(majorities),
        "not_majority": wrong,
        "scored": len(scored),
        "consensus": exact,
        "consensus_10min": near,
        "trust_neutral": neutral[0],
        "trust_neutral_10min": neutral[1],
        "gold": len(settled),
        "others_consensus": held[0],
        "others_consensus_10min": held[1],
        "others_trust": trusted[0],
        "others_trust_10min": trusted[1],
        "load_s": load_s,
        "ask_s": ask_s,
        "gold_s": settle_s,
    }


def main(names: list[str]) -> int:
    """Measure and print a table, and each row as JSON."""
    if not DATA.is_dir():
        print(f"the data is not at hand ({DATA.name})")
        return 0
    sets = [birthplaces(), *(flights(day) for day in DAYS)]
    rows = [
        measure(quarrels, seed)
        for quarrels in sets
        if not names or quarrels.name.split()[0].lower() in names
        for seed in SEEDS
    ]
    for name in rows[0]:
        cells = [row[name] for row in rows]
        print(f"{name:<23}" + "".join(f"{_shown(cell):>17}" for cell in cells))
    for row in rows:
        print(json.dumps(row))
    return 1 if any(row["not_majority"] for row in rows) else 0


def _shown(cell: float | str) -> str:
    return f"{cell:.4f}" if isinstance(cell, float) else str(cell)


if __name__ == "__main__":
    sys.exit(main([name.lower() for name in sys.argv[1:]]))
