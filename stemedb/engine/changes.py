"""What the engine takes in and gives back: a change, decided in log order, and what became of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from stemedb.engine.batch import Batch

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


class Change(Protocol):
    """Something to be written, checked as far as that is possible without the state."""

    @property
    def solo(self) -> bool:
        """Whether it wants a batch of its own: it looks at more of the state than its own id."""

    @property
    def size_bytes(self) -> int:
        """About how much it adds to a batch."""

    def decide(self, batch: Batch) -> Settle:
        """Add its records to the batch, or none; runs in the writer, in log order.

        Raises a `StemedbError` when the state does not allow it; nothing may have been added then.
        """
