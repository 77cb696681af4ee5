"""What is said, on its way out: signed, and in the JSON the API takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from stemedb.model import SignedAssertion, assertion_id, canonical_bytes
from stemedb.model.statements import Epoch, Supersession, Vote, epoch_id, vote_id
from stemedb.model.statements_wire import EpochIn, VoteIn, vote_from_wire
from stemedb.model.wire import SUPERSESSION_NAMES, assertion_to_wire, signature_to_wire

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


def sign_vote(claim_hash: str, weight: float, signer: Signer, timestamp: int) -> tuple[VoteIn, str]:
    """Return a signed vote at `timestamp` (Unix seconds) as the API takes it, and its id (hex).

    Raises `Invalid` for what no server takes: a weight of NaN would be sent as null, and refused as that.
    """
    # A weight beyond the limits is the server's to refuse, with the field named; floats only, as in its id.
    vote = Vote(bytes.fromhex(claim_hash), signer.agent_id, float(weight), timestamp)
    content_id = vote_id(vote)
    signature = signer.sign(content_id, timestamp).signature.hex()
    body = VoteIn(claim_hash, signer.agent_id.hex(), vote.weight, timestamp, signature)
    vote_from_wire(body)
    return body, content_id.hex()


def sign_epoch(
    name: str, signer: Signer, timestamp: int, supersedes: str | None, supersession: Supersession
) -> tuple[EpochIn, str]:
    """Return a signed epoch at `timestamp` (Unix seconds) as the API takes it, and its id (hex)."""
    old = None if supersedes is None else bytes.fromhex(supersedes)
    epoch = Epoch(name, old, supersession, timestamp, signer.agent_id)
    content_id = epoch_id(epoch)
    signature = signer.sign(content_id, timestamp).signature.hex()
    how = SUPERSESSION_NAMES[supersession]
    body = EpochIn(name, signer.agent_id.hex(), timestamp, signature, supersedes, how)
    return body, content_id.hex()
