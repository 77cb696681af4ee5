"""Writing claims: taken and verified outside the writer, decided inside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from stemedb.engine.batch import Batch, MetClaim
from stemedb.engine.changes import ENDORSED, Outcome, Settle
from stemedb.engine.judging import judge_claim
from stemedb.engine.quarantine import Held, Judge, hold, require_not_rejected
from stemedb.engine.verifiers import Signed
from stemedb.errors import Conflict, Invalid, NotFound, Unprocessable
from stemedb.log import Draft
from stemedb.model import (
    Assertion,
    Signature,
    SignedAssertion,
    assertion_id,
    canonical_bytes,
)
from stemedb.model.records import EndorsementRecord, RecordType, encode_assertion
from stemedb.store import ReadClaim, claim_key

_SIGNATURE_BYTES = 128


class Checked(NamedTuple):
    """A claim whose bytes, id and signatures are right; what is left depends on the state.

    `key` is its place in the view, `body` its record: made where many are made at a time, not by the one
    writer. `supersedes`: its parent must exist with the same subject and predicate. `judge`: says what speaks
    against showing it, where content is looked at.
    """

    assertion: Assertion
    canonical: bytes
    id: bytes
    key: bytes
    signatures: tuple[Signature, ...]
    by_admin: bool
    body: bytes
    supersedes: bool = False
    judge: Judge | None = None

    @classmethod
    def of(
        cls,
        assertion: Assertion,
        canonical: bytes,
        claim_id: bytes,
        signatures: tuple[Signature, ...],
        *,
        by_admin: bool = False,
    ) -> Checked:
        """Make it of what was checked."""
        body = encode_assertion(canonical, signatures, by_admin=by_admin)
        return cls(assertion, canonical, claim_id, claim_key(assertion, claim_id), signatures, by_admin, body)

    @property
    def solo(self) -> bool:
        """Claims share batches."""
        return False

    @property
    def size_bytes(self) -> int:
        """About how much it adds to a batch."""
        return len(self.canonical) + _SIGNATURE_BYTES * (len(self.signatures) + 1)

    def decide(self, batch: Batch) -> Settle:
        """Create the claim or hold it back, add the signatures that are new, or find that it exists.

        Each request is judged by itself: a claim that was held back, and comes again with nothing that speaks
        against it, is created. Else anybody could hold a claim of others back by sending it first.

        Raises:
            Gone: it was erased.
            Conflict: it was rejected.
            Unprocessable, Unavailable: too many claims wait in quarantine.
            NotFound, Conflict: the claim it supersedes is unknown, or about something else.
        """
        claim = batch.met(self.id)
        if claim is None:
            if self.supersedes:
                _require_parent(batch, self.assertion)
            return self._create_or_hold(batch)
        fresh = tuple(each for each in self.signatures if each.agent_id not in claim.signers)
        return self._endorse(batch, claim, fresh) if fresh else batch.exists(self.id, claim.position)

    def _create_or_hold(self, batch: Batch) -> Settle:
        require_not_rejected(batch, self.id)
        if self.judge is None:
            return self._create(batch, b"")
        verdict = self.judge(batch)
        if verdict.doubts:
            return hold(batch, Held(self.id, self.assertion, self.signatures, self.by_admin), verdict)
        return self._create(batch, verdict.sketch)

    def _create(self, batch: Batch, sketch: bytes) -> Settle:
        body = self.body
        if sketch:
            body = encode_assertion(self.canonical, self.signatures, by_admin=self.by_admin, sketch=sketch)
        index = batch.add(Draft(RecordType.ASSERTION, body))
        batch.read[index] = ReadClaim(
            self.id, self.key, self.assertion, self.canonical, self.signatures, self.by_admin, sketch
        )
        signers = {each.agent_id for each in self.signatures}
        batch.claims[self.id] = MetClaim(None, index, signers)
        if sketch:
            batch.note_text(self.id, self.assertion, sketch, signers)
        judge_claim(batch, self.assertion, self.id, signers)
        return batch.created(self.id, index)

    def _endorse(self, batch: Batch, claim: MetClaim, fresh: tuple[Signature, ...]) -> Settle:
        index = batch.add_body(EndorsementRecord(self.id, fresh))
        agents = {each.agent_id for each in fresh}
        claim.signers.update(agents)
        judge_claim(batch, self.assertion, self.id, agents)
        return lambda first_seq: Outcome(self.id, claim.position(first_seq), ENDORSED, first_seq + index)


class Unverified(NamedTuple):
    """A claim whose bytes and id are right, and all signatures that were given, which nobody has verified."""

    checked: Checked
    given: tuple[Signature, ...]

    @property
    def signed(self) -> list[Signed]:
        """What is to be verified."""
        return [Signed(self.checked.id, each) for each in self.given]

    def verified(self, verdicts: Sequence[bool]) -> Checked:
        """Return the claim, of whose signatures `verdicts` says in order whether each verifies.

        Raises:
            Unprocessable: one does not.
        """
        for index, (signature, genuine) in enumerate(zip(self.given, verdicts, strict=True)):
            if not genuine:
                raise Unprocessable.at(
                    f"/signatures/{index}",
                    f"the signature of {signature.agent_id.hex()} does not verify",
                    code="bad_signature",
                )
        return self.checked


def take_claim(
    signed: SignedAssertion, given_id: bytes | None, *, unsigned_allowed: bool, by_admin: bool = False
) -> Unverified:
    """Encode and hash a claim. Of several signatures of one agent the first stands.

    `by_admin`: it came with an admin key.

    Raises:
        Invalid: there is no signature and unsigned claims are not allowed.
        Unprocessable: `given_id` is not the content's id.
    """
    if not signed.signatures and not unsigned_allowed:
        raise Invalid.at(
            "/signatures",
            "at least one signature is required",
            code="signature_required",
            hint="Sign the id with an agent's key; /v1/assert/prepare says what to sign.",
        )
    canonical = canonical_bytes(signed.assertion)
    claim_id = assertion_id(canonical)
    if given_id is not None and given_id != claim_id:
        detail = f"{given_id.hex()} is not this content's: that is {claim_id.hex()}"
        raise Unprocessable.at("/hash", detail, code="hash_mismatch")
    signatures = signed.signatures
    if len(signatures) > 1:
        by_agent = {signature.agent_id: signature for signature in reversed(signatures)}
        signatures = tuple(each for each in signatures if by_agent[each.agent_id] is each)
    checked = Checked.of(signed.assertion, canonical, claim_id, signatures, by_admin=by_admin)
    return Unverified(checked, signed.signatures)


def _require_parent(batch: Batch, assertion: Assertion) -> None:
    """Raise unless the claim's parent is there and about the same subject and predicate."""
    if assertion.parent_hash is None:
        raise Invalid.at("/parent_hash", "is required to supersede a claim")
    batch.require_not_erased(assertion.parent_hash)
    parent = batch.snapshot.claim(assertion.parent_hash)
    if parent is None:
        raise NotFound(f"there is no claim {assertion.parent_hash.hex()} to supersede", code="unknown_claim")
    if (parent.assertion.subject, parent.assertion.predicate) != (assertion.subject, assertion.predicate):
        raise Conflict("the superseded claim has another subject or predicate", code="other_question")
