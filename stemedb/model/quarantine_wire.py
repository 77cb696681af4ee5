"""The JSON shapes of the quarantine: what an administrator sees of a claim that nobody else sees."""

from __future__ import annotations

from typing import Final

import msgspec

from stemedb.model.wire import SignatureIn

WAITING: Final = "waiting"
REJECTED: Final = "rejected"
STATES: Final = (WAITING, REJECTED)


class ScoresOut(msgspec.Struct, frozen=True):
    """The scores of a claim, 0 to 1 each; `similar_to` is the claim whose text is nearly the same."""

    quality: float
    entropy: float
    length: float
    structure: float
    trust: float
    similarity: float
    similar_to: str | None


class HeldOut(msgspec.Struct, frozen=True):
    """A claim in quarantine: what it says, who signed it, and why it is held. Times as in any claim."""

    hash: str
    seq: int
    recorded_at: int
    state: str
    reasons: list[str]
    scores: ScoresOut
    assertion: dict[str, object]
    signatures: list[SignatureIn]


class QuarantineReply(msgspec.Struct, frozen=True):
    """The claims in quarantine, in the order of the log."""

    quarantine: list[HeldOut]
    next_cursor: str | None
