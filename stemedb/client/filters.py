"""Which claims a question is about, beyond subject and predicate."""

from __future__ import annotations

import msgspec


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """The filters and the clock of a question, named as in the HTTP API; what is None or empty is not sent.

    `as_of` is Unix seconds or RFC 3339 (the world as claimed then); `known_at` a sequence number or RFC 3339
    (what the server knew then); `decay=False` takes confidences as they were claimed.
    """

    lifecycle: str | None = None
    epoch: str | None = None
    source_class: tuple[str, ...] = ()
    agent_id: str | None = None
    min_confidence: float | None = None
    as_of: int | str | None = None
    known_at: int | str | None = None
    decay: bool = True

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
        }
        return (
            *((name, str(value)) for name, value in single.items() if value is not None),
            *(("source_class", name) for name in self.source_class),
        )


ALL = Filters()
