"""What is read is checked: the id is that of the content, and every signature is its agent's."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stemedb.errors import StemedbError, Unprocessable
from stemedb.model import Signature, assertion_id, canonical_bytes, verify_signature
from stemedb.model.replies import ClaimOut, EpochOut, RecordOut, TraceReply, VoteOut
from stemedb.model.statements import epoch_id, vote_id
from stemedb.model.statements_wire import EpochIn, VoteIn, epoch_from_wire, vote_from_wire
from stemedb.model.wire import AssertionIn, SignatureIn, assertion_from_wire

UNVERIFIED = "reply_unverified"
_COUNTED = {"signatures", "hash"}


class _Said(msgspec.Struct):
    """What the feed shows of an endorsement."""

    claim_id: str
    signatures: list[SignatureIn]


def verify_claim(claim: ClaimOut) -> None:
    """Raise `Unprocessable` (code `reply_unverified`) unless id and signatures of `claim` are genuine.

    A claim without signatures (a server in unsafe mode) passes: it pretends nothing.
    """
    content = AssertionIn(
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
    )
    _verify_content(content, claim.hash, claim.signatures)


def verify_vote(vote: VoteOut, claim_hash: str) -> None:
    """Raise `Unprocessable` unless `vote` is its agent's, on the claim `claim_hash`."""
    _verify_vote(VoteIn(claim_hash, vote.agent_id, vote.weight, vote.timestamp, vote.signature), vote.id)


def verify_epoch(epoch: EpochOut) -> None:
    """Raise `Unprocessable` unless `epoch` is its agent's."""
    _verify_epoch(
        EpochIn(
            epoch.name,
            epoch.agent_id,
            epoch.timestamp,
            epoch.signature,
            epoch.supersedes,
            epoch.supersession,
        ),
        epoch.id,
    )


def verify_trace(trace: TraceReply) -> None:
    """Raise `Unprocessable` unless each vote, endorsement and epoch of `trace` is its agent's."""
    for vote in trace.votes:
        verify_vote(vote, trace.claim.hash)
    given = [SignatureIn(each.agent_id, each.signature, each.timestamp) for each in trace.endorsements]
    _verify_signatures("claim", trace.claim.hash, given)
    if trace.epoch is not None:
        verify_epoch(trace.epoch)


def verify_record(record: RecordOut) -> None:
    """Raise `Unprocessable` unless what is signed in a record of the feed is genuine; the rest passes."""
    body = record.body
    if body is None:
        return
    try:
        if record.type == "assertion":
            content = {name: value for name, value in body.items() if name not in _COUNTED}
            signatures = msgspec.convert(body["signatures"], list[SignatureIn])
            _verify_content(msgspec.convert(content, AssertionIn), str(body["hash"]), signatures)
        elif record.type == "endorsement":
            said = msgspec.convert(body, _Said)
            _verify_signatures("claim", said.claim_id, said.signatures)
        elif record.type in {"vote", "epoch"}:
            content = {name: value for name, value in body.items() if name != "id"}
            if record.type == "vote":
                _verify_vote(msgspec.convert(content, VoteIn), str(body["id"]))
            else:
                _verify_epoch(msgspec.convert(content, EpochIn), str(body["id"]))
    except (msgspec.ValidationError, KeyError) as error:
        raise _unverified("record", str(record.seq), f"is none: {error}") from error


def _verify_content(content: AssertionIn, claim_hash: str, signatures: Sequence[SignatureIn]) -> None:
    # Signatures are checked apart: a claim may have gained more than one request may carry.
    try:
        content_id = assertion_id(canonical_bytes(assertion_from_wire(content).assertion))
    except StemedbError as error:
        raise _unverified("claim", claim_hash, f"is no valid claim: {error.detail}") from error
    _expect_id("claim", claim_hash, content_id)
    _verify_signatures("claim", claim_hash, signatures)


def _verify_vote(wire: VoteIn, given_id: str) -> None:
    try:
        content_id = vote_id(vote_from_wire(wire).vote)
    except StemedbError as error:
        raise _unverified("vote", given_id, f"is no valid vote: {error.detail}") from error
    _expect_id("vote", given_id, content_id)
    _verify_signatures("vote", given_id, [SignatureIn(wire.agent_id, wire.signature, wire.timestamp)])


def _verify_epoch(wire: EpochIn, given_id: str) -> None:
    try:
        content_id = epoch_id(epoch_from_wire(wire).epoch)
    except StemedbError as error:
        raise _unverified("epoch", given_id, f"is no valid epoch: {error.detail}") from error
    _expect_id("epoch", given_id, content_id)
    _verify_signatures("epoch", given_id, [SignatureIn(wire.agent_id, wire.signature, wire.timestamp)])


def _expect_id(kind: str, given_id: str, content_id: bytes) -> None:
    if content_id.hex() != given_id:
        what = f"is not what was asked for: its content has the id {content_id.hex()}"
        raise _unverified(kind, given_id, what)


def _verify_signatures(kind: str, content_id: str, signatures: Sequence[SignatureIn]) -> None:
    for index, each in enumerate(signatures):
        try:
            signature = Signature(bytes.fromhex(each.agent_id), bytes.fromhex(each.signature), each.timestamp)
            genuine = verify_signature(bytes.fromhex(content_id), signature)
        except (ValueError, OverflowError):
            genuine = False
        if not genuine:
            raise _unverified(kind, content_id, f"has a signature ({index}) that is not by {each.agent_id}")


def _unverified(kind: str, content_id: str, what: str) -> Unprocessable:
    return Unprocessable(
        f"{kind} {content_id} in the server's reply {what}",
        code=UNVERIFIED,
        hint="Do not trust this reply; look at the server and at what stands between.",
    )
