"""Claims as a question sees them: visible at its moment, filtered, enriched, shown."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

from stemedb import limits
from stemedb.errors import QueryTimeout
from stemedb.lens import Candidate
from stemedb.model.claim import ZERO_HASH, Signature
from stemedb.model.replies import ClaimOut, VotesOut
from stemedb.model.tiers import effective_confidence
from stemedb.model.wire import (
    LIFECYCLE_NAMES,
    TIER_NAMES,
    signature_to_wire,
    value_to_wire,
    vector_numbers,
)
from stemedb.query.moment import Moment
from stemedb.query.question import Question
from stemedb.store import ClaimRow, Snapshot

_DECIMALS = 12
_LOOK_AT_CLOCK_EVERY = 1024


class SeenClaim(NamedTuple):
    """A claim at a moment: its signatures visible then, and its confidence as the question counts it."""

    row: ClaimRow
    signatures: tuple[Signature, ...]
    confidence: float

    def candidate(self) -> Candidate:
        """Return it as a lens wants it."""
        assertion = self.row.assertion
        return Candidate(
            self.row.id,
            assertion.object,
            assertion.timestamp,
            self.confidence,
            assertion.source_class,
            tuple(signature.agent_id for signature in self.signatures),
        )


class Deadline:
    """Ends a question that runs too long."""

    def __init__(self, timeout_s: float = limits.QUERY_TIMEOUT_S) -> None:
        """Start now."""
        self._timeout_s = timeout_s
        self._ends_at = time.monotonic() + timeout_s
        self._looked = 0

    def look(self) -> None:
        """Count one claim looked at; raise `QueryTimeout` when the time is over."""
        self._looked += 1
        if self._looked % _LOOK_AT_CLOCK_EVERY == 0 and time.monotonic() > self._ends_at:
            raise QueryTimeout(f"the question took more than {self._timeout_s} s")


def see(snapshot: Snapshot, row: ClaimRow, moment: Moment, *, decay: bool = True) -> SeenClaim | None:
    """Return the claim as `moment` sees it, None where it is not visible then."""
    assertion = row.assertion
    if not moment.sees(row.seq, assertion.timestamp):
        return None
    signatures = row.signatures + tuple(
        signature
        for signature, endorsement in snapshot.endorsements(row)
        if moment.sees(endorsement.seq, signature.timestamp)
    )
    confidence = assertion.confidence
    if decay:
        age_s = moment.clock_s - assertion.timestamp
        confidence = effective_confidence(confidence, assertion.source_class, age_s)
    return SeenClaim(row, signatures, confidence)


def matching(
    snapshot: Snapshot, question: Question, moment: Moment, after_key: bytes | None = None
) -> Iterator[tuple[bytes, SeenClaim | None]]:
    """Yield every claim of the question in reply order with its key; None where it does not pass."""
    deadline = Deadline()
    for key, row in snapshot.walk(question.subject, question.predicate, after_key):
        deadline.look()
        seen = see(snapshot, row, moment, decay=question.decay)
        yield key, seen if seen is not None and passes(question, seen) else None


def passes(question: Question, seen: SeenClaim) -> bool:
    """Say whether a visible claim passes the question's filters."""
    assertion = seen.row.assertion
    return (
        assertion.lifecycle in question.stages
        and (question.tiers is None or assertion.source_class in question.tiers)
        and (question.epoch is None or assertion.epoch == question.epoch)
        and seen.confidence >= question.min_confidence
        and (question.agent_id is None or any(each.agent_id == question.agent_id for each in seen.signatures))
    )


def show(seen: SeenClaim) -> ClaimOut:
    """Return the claim as every reply shows it."""
    row = seen.row
    assertion = row.assertion
    return ClaimOut(
        subject=assertion.subject,
        predicate=assertion.predicate,
        object=value_to_wire(assertion.object),
        confidence=assertion.confidence,
        timestamp=assertion.timestamp,
        source_class=TIER_NAMES[assertion.source_class],
        source_hash=_ZEROS if assertion.source_hash == ZERO_HASH else assertion.source_hash.hex(),
        lifecycle=LIFECYCLE_NAMES[assertion.lifecycle],
        epoch=assertion.epoch.hex() if assertion.epoch else None,
        parent_hash=assertion.parent_hash.hex() if assertion.parent_hash else None,
        visual_hash=assertion.visual_hash.hex() if assertion.visual_hash else None,
        vector=vector_numbers(assertion.vector),
        signatures=[signature_to_wire(signature) for signature in seen.signatures],
        hash=row.id.hex(),
        seq=row.seq,
        recorded_at=row.recorded_at,
        effective_confidence=rounded(seen.confidence),
        votes=_NO_VOTES,
        source_status=None,
        warnings=[],
        hidden_by=None,
    )


def rounded(number: float) -> float:
    """Return a computed number as replies give it: 12 decimals, so that every host says the same."""
    return round(number, _DECIMALS)


_ZEROS = ZERO_HASH.hex()
_NO_VOTES = VotesOut()
