"""Which claims a question is about, beyond subject and predicate."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """The filters and the clock of a question, named as in the HTTP API; what is None or empty is not sent.

    `as_of` is Unix seconds or RFC 3339 (the world as claimed then); `known_at` a sequence number or RFC 3339
    (what the server knew then); `decay=False` takes confidences as they were claimed. `aliases` asks about
    every subject that means the same. `visual_near` is 16 hex digits, `vector_near` numbers or the id of a
    claim that has a vector; `k` says how many of its nearest.
    """

    lifecycle: str | None = None
    epoch: str | None = None
    source_class: tuple[str, ...] = ()
    agent_id: str | None = None
    min_confidence: float | None = None
    as_of: int | str | None = None
    known_at: int | str | None = None
    decay: bool = True
    aliases: bool = False
    visual_near: str | None = None
    visual_threshold: int | None = None
    vector_near: str | Sequence[float] | None = None
    k: int | None = None

    def params(self) -> tuple[tuple[str, str], ...]:
        """Return the query parameters."""
        single = {
            "lifecycle": self.lifecycle,
            "epoch": self.epoch,
            "agent_id": self.agent_id,
            "min_confidence": self.min_confidence,
            "as_of": self.as_of,
            "known_at": self.known_at,
            "decay": None if self.decay else "false",
            "aliases": "true" if self.aliases else None,
            "visual_near": self.visual_near,
            "visual_threshold": self.visual_threshold,
            "vector_near": _vector(self.vector_near),
            "k": self.k,
        }
        return (
            *((name, str(value)) for name, value in single.items() if value is not None),
            *(("source_class", name) for name in self.source_class),
        )


def _vector(near: str | Sequence[float] | None) -> str | None:
    """Return an id as it is, numbers with commas between them."""
    return near if near is None or isinstance(near, str) else ",".join(map(repr, map(float, near)))


ALL = Filters()


class When(msgspec.Struct, frozen=True, kw_only=True):
    """The moment of a read, as in `Filters`; the present where nothing is given."""

    as_of: int | str | None = None
    known_at: int | str | None = None

    def params(self) -> tuple[tuple[str, str], ...]:
        """Return the query parameters."""
        given = {"as_of": self.as_of, "known_at": self.known_at}
        return tuple((name, str(value)) for name, value in given.items() if value is not None)


PRESENT = When()
