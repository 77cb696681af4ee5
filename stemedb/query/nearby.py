"""Nearest neighbours by embedding: exact, inside one subject and predicate, with all other filters.

The distance is the angle between the vectors (cosine similarity), the usual measure for embeddings. Claims
whose vector is missing, of another dimension, or zero have no angle and are left out.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from math import fsum, sqrt
from operator import mul

from stemedb.errors import Gone, Invalid, NotFound
from stemedb.lens.candidate import tie_rank
from stemedb.query.claims import SeenClaim
from stemedb.query.question import Question
from stemedb.store import Snapshot


def nearest(snapshot: Snapshot, question: Question, claims: Sequence[SeenClaim]) -> list[SeenClaim]:
    """Return the `k` claims whose vectors are nearest to the one asked for, nearest first.

    Raises:
        Invalid: the vector asked for is zero, or the claim named for it has none.
        NotFound, Gone: the claim named for it is unknown, or was erased.
    """
    wanted = _wanted(snapshot, question)
    length = _length(wanted)
    if length == 0.0:
        raise Invalid.at("/vector_near", "a zero vector has no direction")
    ranked = []
    for claim in claims:
        vector = _unpack(claim.row.assertion.vector)
        size = _length(vector)
        if len(vector) == len(wanted) and size > 0.0:
            similarity = fsum(map(mul, vector, wanted)) / (size * length)
            tie = tie_rank(claim.row.assertion.timestamp, claim.row.id)
            ranked.append((-similarity, tie, claim))
    ranked.sort(key=lambda each: each[:2])
    return [claim for _, _, claim in ranked[: question.k]]


def _wanted(snapshot: Snapshot, question: Question) -> tuple[float, ...]:
    near = question.vector_near
    if isinstance(near, tuple):
        return near
    if near is None:
        raise AssertionError
    row = snapshot.claim(near)
    if row is None:
        if snapshot.erased_at(near) is not None:
            raise Gone(f"claim {near.hex()} was erased")
        raise NotFound(f"there is no claim {near.hex()}", code="unknown_claim")
    if row.assertion.vector is None:
        raise Invalid.at("/vector_near", f"claim {near.hex()} has no vector")
    return _unpack(row.assertion.vector)


def _unpack(packed: bytes | None) -> tuple[float, ...]:
    return () if packed is None else struct.unpack(f"<{len(packed) // 4}f", packed)


def _length(vector: Sequence[float]) -> float:
    return sqrt(fsum(number * number for number in vector))
