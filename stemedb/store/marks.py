"""When what answers rest on last changed: what is remembered of an answer can be held against it.

In memory only, and coarse: subjects share places, which makes an answer look changed that is not, never the
other way round. A batch of the fold is marked before it is committed, and its position becomes known after
that: whoever reads the position first and the mark then misses no change up to that position.
"""

from __future__ import annotations

from array import array

from stemedb import limits

_PLACE_MASK = limits.MARKS - 1
_PLACE_BYTES = 8


class Marks:
    """The last change of each subject, as a position in the log. One thread folds, many look."""

    def __init__(self) -> None:
        """Start with nothing changed."""
        self._subjects = array("Q", bytes(limits.MARKS * _PLACE_BYTES))
        self._everything = 0
        self._seq = 0

    def begin(self, seq: int) -> None:
        """Begin a batch that ends at `seq`; what is marked from now on changes in it."""
        self._seq = seq

    def subject(self, subject: str) -> None:
        """Mark that something about a subject's claims changes."""
        self._subjects[hash(subject) & _PLACE_MASK] = self._seq

    def everything(self) -> None:
        """Mark that something changes which any answer may rest on."""
        self._everything = self._seq

    def last(self, subject: str) -> int:
        """Return up to where nothing that answers about a subject rest on has changed since."""
        return max(self._subjects[hash(subject) & _PLACE_MASK], self._everything)
