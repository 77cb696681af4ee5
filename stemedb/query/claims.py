"""Claims as a question sees them: visible at its moment, enriched, filtered, shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from stemedb.lens import Candidate
from stemedb.lens.candidate import NEUTRAL_TRUST
from stemedb.model.claim import ZERO_HASH, Signature
from stemedb.model.records import SourceStatus
from stemedb.model.replies import ClaimOut, VotesOut
from stemedb.model.tiers import effective_confidence
from stemedb.model.wire import (
    LIFECYCLE_NAMES,
    SOURCE_STATUS_NAMES,
    TIER_NAMES,
    signature_to_wire,
    value_to_wire,
    vector_numbers,
)
from stemedb.query.enrich import NO_VOTES, Surroundings
from stemedb.query.moment import Moment
from stemedb.query.question import Question
from stemedb.store import ClaimRow

_DECIMALS = 12

SOURCE_RETRACTED = "source_retracted"
SOURCE_DISPUTED = "source_disputed"
EPOCH_SUPERSEDED = "epoch_superseded"


class SeenClaim(msgspec.Struct, frozen=True, gc=False):
    """A claim at a moment; `confidence` as the question counts it."""

    row: ClaimRow
    signatures: tuple[Signature, ...]
    confidence: float
    votes: VotesOut
    source_status: SourceStatus | None
    superseded: bool
    hidden_by: bytes | None

    @property
    def retracted(self) -> bool:
        """Whether its evidence was taken back: then no lens counts it."""
        return self.source_status is SourceStatus.RETRACTED


def see(row: ClaimRow, moment: Moment, around: Surroundings, *, decay: bool = True) -> SeenClaim | None:
    """Return the claim as `moment` sees it, None where it is not visible then."""
    return next(iter(see_all((row,), moment, around, decay=decay)), None)


def see_all(
    rows: Sequence[ClaimRow], moment: Moment, around: Surroundings, *, decay: bool = True
) -> list[SeenClaim]:
    """Return the claims that are visible at `moment`, as it sees them."""
    seq, as_of, clock_s = moment
    found = []
    for row in rows:
        assertion = row.assertion
        # As `Moment.sees` has it: a call more for each claim is felt.
        if row.seq > seq or (as_of is not None and assertion.timestamp > as_of):
            continue
        # Most claims are plain: nobody endorsed them, voted on them or revised them.
        plain = not row.flags
        signatures = row.signatures if plain else around.signatures(row)
        confidence = assertion.confidence
        if decay:
            age_s = clock_s - assertion.timestamp
            confidence = effective_confidence(confidence, assertion.source_class, age_s)
        source_hash, epoch = assertion.source_hash, assertion.epoch
        seen = SeenClaim(
            row,
            signatures,
            confidence,
            NO_VOTES if plain else around.votes(row),
            None if source_hash == ZERO_HASH else around.source_status(source_hash),
            epoch is not None and around.is_superseded(epoch),
            None if plain else around.hidden_by(row, signatures),
        )
        found.append(seen)
    return found


def candidates(claims: Sequence[SeenClaim], around: Surroundings) -> list[Candidate]:
    """Return claims as a lens wants them."""
    judged = around.anybody_judged
    found = []
    for seen in claims:
        row, signatures = seen.row, seen.signatures
        assertion = row.assertion
        one = Candidate(
            row.id,
            assertion.object,
            assertion.timestamp,
            seen.confidence,
            assertion.source_class,
            # Mostly there is one, and a comprehension is a call.
            (signatures[0].agent_id,) if len(signatures) == 1 else tuple([e.agent_id for e in signatures]),
            seen.votes.weight,
            around.mean_trust(signatures) if judged else NEUTRAL_TRUST,
            seen.superseded,
        )
        found.append(one)
    return found


def passing(question: Question) -> Callable[[SeenClaim], bool]:
    """Return what says whether a visible claim passes the filters.

    Hidden ones do only where every stage is asked for.
    """
    stages, shows_hidden, narrows = question.stages, question.shows_hidden, _narrows(question)
    least = question.min_confidence

    def passes(seen: SeenClaim) -> bool:
        return (
            seen.row.assertion.lifecycle in stages
            and seen.confidence >= least
            and (seen.hidden_by is None or shows_hidden)
            and (not narrows or _is_wanted(question, seen))
        )

    return passes


def _narrows(question: Question) -> bool:
    """Say whether there is any filter but those that cost nothing."""
    unset = (question.tiers, question.epoch, question.agent_id, question.visual_near)
    return any(each is not None for each in unset)


def _is_wanted(question: Question, seen: SeenClaim) -> bool:
    assertion = seen.row.assertion
    return (
        (question.tiers is None or assertion.source_class in question.tiers)
        and (question.epoch is None or assertion.epoch == question.epoch)
        and (question.agent_id is None or any(each.agent_id == question.agent_id for each in seen.signatures))
        and (question.visual_near is None or _looks_alike(question, assertion.visual_hash))
    )


def _looks_alike(question: Question, visual_hash: bytes | None) -> bool:
    """Compare two perceptual hashes by Hamming distance (bits that differ)."""
    if visual_hash is None or question.visual_near is None:
        return False
    differing = int.from_bytes(visual_hash, "big") ^ int.from_bytes(question.visual_near, "big")
    return differing.bit_count() <= question.visual_threshold


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
        epoch=_hex(assertion.epoch),
        parent_hash=_hex(assertion.parent_hash),
        visual_hash=_hex(assertion.visual_hash),
        vector=vector_numbers(assertion.vector),
        signatures=[signature_to_wire(signature) for signature in seen.signatures],
        hash=row.id.hex(),
        seq=row.seq,
        recorded_at=row.recorded_at,
        effective_confidence=rounded(seen.confidence),
        votes=seen.votes,
        source_status=None if seen.source_status is None else SOURCE_STATUS_NAMES[seen.source_status],
        warnings=_warnings(seen),
        hidden_by=_hex(seen.hidden_by),
    )


def _warnings(seen: SeenClaim) -> list[str]:
    warnings = []
    if seen.source_status is SourceStatus.RETRACTED:
        warnings.append(SOURCE_RETRACTED)
    if seen.source_status is SourceStatus.DISPUTED:
        warnings.append(SOURCE_DISPUTED)
    if seen.superseded:
        warnings.append(EPOCH_SUPERSEDED)
    return warnings


def rounded(number: float) -> float:
    """Return a computed number as replies give it: 12 decimals, so that every host says the same."""
    return round(number, _DECIMALS)


def _hex(binary: bytes | None) -> str | None:
    return None if binary is None else binary.hex()


_ZEROS = ZERO_HASH.hex()
