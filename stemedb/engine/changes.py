"""What became of a change."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from stemedb.model.quarantine import Doubt

CREATED = "created"
EXISTS = "exists"
ENDORSED = "endorsed"
QUARANTINED = "quarantined"


class Outcome(NamedTuple):
    """What became of a change: `seq` is the thing's own, `position` is where the log holds this change."""

    id: bytes
    seq: int
    status: str
    position: int
    doubts: tuple[Doubt, ...] = ()
    """Why the claim was held back just now; empty where it had been before."""

    @property
    def is_new(self) -> bool:
        """Whether the log holds something now that it did not hold before."""
        return self.status != EXISTS and (self.status != QUARANTINED or bool(self.doubts))


Settle = Callable[[int], Outcome]
"""Given the batch's first seq, the outcome of one change."""
