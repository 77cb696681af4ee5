"""Claims held back: into the quarantine, and out of it again by an administrator.

Whether a claim is held is said by a judge from the room of guards, in the writer, in log order: of two texts
that are nearly the same only the first gets by, however close together they come.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from stemedb import limits
from stemedb.engine.batch import Batch, MetHeld
from stemedb.engine.changes import QUARANTINED, Outcome, Settle
from stemedb.engine.judging import judge_claim
from stemedb.errors import Conflict, NotFound, Unavailable, Unprocessable
from stemedb.model import Assertion, Signature
from stemedb.model.quarantine import Verdict
from stemedb.model.records import QuarantineRecord, RejectionRecord, ReleaseRecord

Judge = Callable[[Batch], Verdict]
"""Says what speaks against a claim, as the state stands before it."""


class Held(NamedTuple):
    """A claim to be held back, as it came."""

    id: bytes
    assertion: Assertion
    signatures: tuple[Signature, ...]
    by_admin: bool


def require_not_rejected(batch: Batch, claim_id: bytes) -> None:
    """Raise `Conflict` for a claim that an administrator rejected."""
    held = batch.held(claim_id)
    if held is not None and held.rejected:
        raise Conflict(
            "an administrator rejected this claim",
            code="claim_rejected",
            hint="Say something else, or have it approved after all.",
        )


def hold(batch: Batch, claim: Held, verdict: Verdict) -> Settle:
    """Record a claim that nobody shall see for now; one that is held already only gains signatures.

    Raises:
        Unprocessable: too many claims of an agent wait, or too many signatures of this one.
        Unavailable: too many wait at all.
    """
    held = batch.held(claim.id)
    known = set() if held is None else held.signers
    fresh = tuple(each for each in claim.signatures if each.agent_id not in known)
    if held is not None and not fresh:
        return batch.exists(claim.id, held.position, QUARANTINED)
    signers = {each.agent_id for each in fresh}
    _require_room(batch, known, signers)
    index = batch.add_body(
        QuarantineRecord(
            claim.assertion, fresh, claim.by_admin, verdict.sketch, verdict.doubts, verdict.scores
        )
    )
    if held is None:
        held = MetHeld(None, index, set(), rejected=False)
    batch.note_held(claim.id, held, signers)
    met = held
    return lambda first_seq: Outcome(
        claim.id, met.position(first_seq), QUARANTINED, first_seq + index, verdict.doubts
    )


class Approval(NamedTuple):
    """A claim that shall leave the quarantine; `by`: the API key's id, empty where there is none."""

    claim_id: bytes
    by: bytes = b""
    solo: bool = True
    size_bytes: int = 0

    def decide(self, batch: Batch) -> Settle:
        """Release the claim, rejected or not; one that has left exists.

        Raises:
            NotFound: it is not in quarantine and never was.
            Gone: it was erased.
        """
        row = batch.snapshot.held(self.claim_id)
        if row is None:
            seq = _left(batch, self.claim_id)
            return batch.exists(self.claim_id, lambda _: seq)
        body = ReleaseRecord(row.assertion, row.signatures, row.by_admin, row.sketch, self.by)
        settle = batch.created(self.claim_id, batch.add_body(body))
        signers = {each.agent_id for each in row.signatures}
        judge_claim(batch, row.assertion, self.claim_id, signers)
        return settle


class Rejection(NamedTuple):
    """A claim that shall stay in quarantine for good; `by` as in an approval."""

    claim_id: bytes
    by: bytes = b""
    solo: bool = True
    size_bytes: int = 0

    def decide(self, batch: Batch) -> Settle:
        """Reject the claim; a rejected one exists.

        Raises:
            NotFound: it is not in quarantine and never was.
            Conflict: it has left; only erasing it takes it away now.
            Gone: it was erased.
        """
        row = batch.snapshot.held(self.claim_id)
        if row is None:
            _left(batch, self.claim_id)
            raise Conflict(
                "the claim has left the quarantine: everybody sees it",
                code="already_released",
                hint="Say that it is wrong with a claim of your own, or erase it.",
            )
        if row.rejected:
            return batch.exists(self.claim_id, lambda _: row.seqs[0])
        return batch.created(self.claim_id, batch.add_body(RejectionRecord(self.claim_id, self.by)))


def _left(batch: Batch, claim_id: bytes) -> int:
    """Return the seq of a claim that was in quarantine once; raises `NotFound`, `Gone`."""
    batch.require_not_erased(claim_id)
    row = batch.snapshot.claim(claim_id)
    if row is None or not batch.snapshot.once_held(claim_id):
        raise NotFound(f"there is no claim {claim_id.hex()} in quarantine", code="not_quarantined")
    return row.seq


def _require_room(batch: Batch, known: set[bytes], fresh: set[bytes]) -> None:
    if len(known) + len(fresh) > limits.SIGNATURES_MAX:
        raise Unprocessable(
            f"the claim waits in quarantine and has {len(known)} signatures already", code="quarantine_full"
        )
    for agent_id in sorted(fresh):
        if batch.waiting_count(agent_id) >= limits.QUARANTINE_AGENT_MAX:
            raise Unprocessable(
                f"{limits.QUARANTINE_AGENT_MAX} claims of {agent_id.hex()} wait in quarantine already",
                code="quarantine_full",
                hint="Wait for an administrator to look at them.",
            )
    if not known and batch.waiting_count(None) >= limits.QUARANTINE_MAX:
        raise Unavailable(
            f"{limits.QUARANTINE_MAX} claims wait in quarantine already",
            code="quarantine_crowded",
            retry_after_s=limits.QUARANTINE_RETRY_S,
        )
