"""What became of a change."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

CREATED = "created"
EXISTS = "exists"
ENDORSED = "endorsed"


class Outcome(NamedTuple):
    """What became of a change: `seq` is the thing's own, `position` is where the log holds this change."""

    id: bytes
    seq: int
    status: str
    position: int


Settle = Callable[[int], Outcome]
"""Given the batch's first seq, the outcome of one change."""
