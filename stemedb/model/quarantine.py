"""Quarantine: why a claim is held back, and by which scores (api.md "Guards")."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final, NamedTuple

import msgspec


class Doubt(IntEnum):
    """What speaks against showing a claim at once; the numbers stand in the log."""

    LOW_QUALITY = 0
    NEAR_DUPLICATE = 1
    UNEARNED_CONFIDENCE = 2


DOUBT_NAMES: Final[Mapping[Doubt, str]] = {doubt: doubt.name.lower() for doubt in Doubt}


class Scores(msgspec.Struct, frozen=True, array_like=True):
    """What a claim was judged by, each from 0 to 1. `quality` is made of the four behind it.

    `similarity` is that to the text of `similar_to`, a claim of the same agent; 0 where there is none.
    """

    quality: float
    entropy: float
    length: float
    structure: float
    trust: float
    similarity: float = 0.0
    similar_to: bytes | None = None


class Verdict(NamedTuple):
    """What a judge says of a claim: no doubts, or which. `sketch`: of its text, to be kept with it."""

    doubts: tuple[Doubt, ...]
    scores: Scores
    sketch: bytes
