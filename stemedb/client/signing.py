"""Claims on their way out: signed, and in the JSON the API takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from stemedb.model import SignedAssertion, assertion_id, canonical_bytes
from stemedb.model.wire import assertion_to_wire, signature_to_wire

if TYPE_CHECKING:
    from stemedb.model import Assertion, Signer

_encoder = msgspec.json.Encoder()


def sign(assertion: Assertion, *signers: Signer, signed_at: int | None = None) -> SignedAssertion:
    """Return `assertion` signed by each of `signers` at `signed_at` (Unix seconds, else its own time)."""
    content_id = assertion_id(canonical_bytes(assertion))
    at = assertion.timestamp if signed_at is None else signed_at
    return SignedAssertion(assertion, tuple(signer.sign(content_id, at) for signer in signers))


def encode(claim: SignedAssertion) -> tuple[bytes, str]:
    """Return the JSON of `claim` and its id (hex).

    The id goes along, so that a byte changed on the way is refused instead of becoming another claim.
    """
    content_id = assertion_id(canonical_bytes(claim.assertion)).hex()
    body = assertion_to_wire(claim.assertion)
    body["signatures"] = [signature_to_wire(each) for each in claim.signatures]
    body["hash"] = content_id
    return _encoder.encode(body), content_id
