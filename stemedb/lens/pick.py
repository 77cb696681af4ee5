"""The shape that most lenses share: one claim wins, and the answer rests on it alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter

from stemedb.lens.candidate import Candidate, Contribution, Resolution
from stemedb.lens.conflict import conflict_score

NOBODY = Resolution(None, 0, 0.0, 0.0, ())


def pick_highest(
    candidates: Sequence[Candidate],
    score: Callable[[Candidate], float],
    *,
    considered: Sequence[Candidate] | None = None,
    confidence: Callable[[Candidate], float] = attrgetter("confidence"),
) -> Resolution:
    """Let the candidate with the highest `score` win; its `confidence` is the resolution's.

    `considered` narrows who may win; the count and the conflict are over all `candidates`.
    """
    if not candidates:
        return NOBODY
    winner = min(
        candidates if considered is None else considered,
        key=lambda each: (-score(each), -each.timestamp, each.id),  # ties end as `tie_key` has it
    )
    return Resolution(
        winner,
        len(candidates),
        confidence(winner),
        conflict_score(candidates),
        (Contribution(winner.id, 1.0),),
    )
