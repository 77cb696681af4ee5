"""What the engine takes in and gives back: a checked claim, and what became of it."""

from __future__ import annotations

from typing import NamedTuple

from stemedb.errors import Invalid, Unprocessable
from stemedb.model import (
    Assertion,
    Signature,
    SignedAssertion,
    assertion_id,
    canonical_bytes,
    verify_signature,
)

CREATED = "created"
EXISTS = "exists"
ENDORSED = "endorsed"


class Checked(NamedTuple):
    """A claim whose bytes, id and signatures are right; what is left depends on the state."""

    assertion: Assertion
    canonical: bytes
    id: bytes
    signatures: tuple[Signature, ...]


class Outcome(NamedTuple):
    """What became of a claim: `seq` is the claim's, `position` the log position that holds this change."""

    id: bytes
    seq: int
    status: str
    position: int


def check_claim(signed: SignedAssertion, given_id: bytes | None, *, unsigned_allowed: bool) -> Checked:
    """Encode, hash and verify a claim. Releases the GIL for most of its time.

    Of several signatures of one agent the first stands.

    Raises:
        Invalid: there is no signature and unsigned claims are not allowed.
        Unprocessable: `given_id` is not the content's id, or a signature does not verify.
    """
    if not signed.signatures and not unsigned_allowed:
        raise Invalid(
            "/signatures: at least one signature is required",
            code="signature_required",
            hint="Sign the id with an agent's key; /v1/assert/prepare says what to sign.",
        )
    canonical = canonical_bytes(signed.assertion)
    claim_id = assertion_id(canonical)
    if given_id is not None and given_id != claim_id:
        raise Unprocessable(
            f"hash {given_id.hex()} is not this content's: that is {claim_id.hex()}", code="hash_mismatch"
        )
    for index, signature in enumerate(signed.signatures):
        if not verify_signature(claim_id, signature):
            raise Unprocessable(
                f"/signatures/{index}: the signature of {signature.agent_id.hex()} does not verify",
                code="bad_signature",
            )
    by_agent = {signature.agent_id: signature for signature in reversed(signed.signatures)}
    first_ones = tuple(each for each in signed.signatures if by_agent[each.agent_id] is each)
    return Checked(signed.assertion, canonical, claim_id, first_ones)
