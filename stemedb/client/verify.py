"""What is read is checked: the id is that of the content, and every signature is its agent's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stemedb.errors import StemedbError, Unprocessable
from stemedb.model import Signature, assertion_id, canonical_bytes, verify_signature
from stemedb.model.wire import AssertionIn, assertion_from_wire

if TYPE_CHECKING:
    from stemedb.model.replies import ClaimOut

UNVERIFIED = "reply_unverified"


def verify_claim(claim: ClaimOut) -> None:
    """Raise `Unprocessable` (code `reply_unverified`) unless id and signatures of `claim` are genuine.

    A claim without signatures (a server in unsafe mode) passes: it pretends nothing.
    """
    try:
        signed = assertion_from_wire(
            AssertionIn(
                subject=claim.subject,
                predicate=claim.predicate,
                object={"type": claim.object.type, "value": claim.object.value},
                confidence=claim.confidence,
                timestamp=claim.timestamp,
                source_class=claim.source_class,
                source_hash=claim.source_hash,
                lifecycle=claim.lifecycle,
                epoch=claim.epoch,
                parent_hash=claim.parent_hash,
                visual_hash=claim.visual_hash,
                vector=claim.vector,
                # A claim may have gained more signatures than one request may carry.
                signatures=[],
            )
        )
        content_id = assertion_id(canonical_bytes(signed.assertion))
    except StemedbError as error:
        raise _unverified(claim.hash, f"is no valid claim: {error.detail}") from error
    if content_id.hex() != claim.hash:
        raise _unverified(claim.hash, f"is not what was asked for: its content has the id {content_id.hex()}")
    for index, each in enumerate(claim.signatures):
        try:
            signature = Signature(bytes.fromhex(each.agent_id), bytes.fromhex(each.signature), each.timestamp)
            genuine = verify_signature(content_id, signature)
        except (ValueError, OverflowError):
            genuine = False
        if not genuine:
            raise _unverified(claim.hash, f"has a signature ({index}) that is not by {each.agent_id}")


def _unverified(claim_hash: str, what: str) -> Unprocessable:
    return Unprocessable(
        f"claim {claim_hash} in the server's reply {what}",
        code=UNVERIFIED,
        hint="Do not trust this reply; look at the server and at what stands between.",
    )
