"""Which position in the log an answer saw, for answers that do not say it themselves."""

from __future__ import annotations

from typing import Protocol

from stemedb.store import Snapshot, View


class Viewed(Protocol):
    """What questions need of a view."""

    def snapshot(self) -> Snapshot:
        """Return the present moment of the view, to be used in a `with`."""


class Watched:
    """A view that remembers the position of the last snapshot taken from it. For one question only."""

    def __init__(self, view: View) -> None:
        """Watch `view`."""
        self._view = view
        self.seq = 0

    def snapshot(self) -> Snapshot:
        """Return the present moment of the view and note its position."""
        snapshot = self._view.snapshot()
        self.seq = snapshot.state.applied_seq
        return snapshot
