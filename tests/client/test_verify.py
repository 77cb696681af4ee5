"""A reply that was tampered with is noticed, whatever was changed in it."""

from __future__ import annotations

import msgspec
import pytest

from stemedb.client import sign, verify_claim
from stemedb.errors import Unprocessable
from stemedb.model import Assertion, ObjectKind, Signer, Value, assertion_id, canonical_bytes
from stemedb.model.replies import ClaimOut, VotesOut
from stemedb.model.wire import SignatureIn, ValueOut, assertion_to_wire, signature_to_wire

ALICE, BOB = Signer(bytes(32)), Signer(bytes([1]) * 32)


def shown(*signers: Signer, **changes: object) -> ClaimOut:
    """Return a claim as a server would show it, then changed."""
    assertion = Assertion(
        "drug://velorin",
        "dose",
        Value(ObjectKind.NUMBER, 40.0),
        0.9,
        1_700_000_000,
        vector=bytes(8),
        epoch=bytes(32),
    )
    claim = ClaimOut(
        **assertion_to_wire(assertion),
        signatures=[signature_to_wire(each) for each in sign(assertion, *signers).signatures],
        hash=assertion_id(canonical_bytes(assertion)).hex(),
        seq=2,
        recorded_at=1,
        effective_confidence=0.4,
        votes=VotesOut(),
        source_status=None,
        warnings=[],
        hidden_by=None,
    )
    return msgspec.structs.replace(claim, **changes)


@pytest.mark.parametrize("signers", [(), (ALICE,), (ALICE, BOB)])
def test_verify_passes_what_is_genuine(signers: tuple[Signer, ...]) -> None:
    verify_claim(shown(*signers))


def test_verify_passes_more_signatures_than_a_request_may_carry() -> None:
    verify_claim(shown(*(Signer(bytes([number]) * 32) for number in range(70))))


@pytest.mark.parametrize(
    "change",
    [
        {"subject": "drug://other"},
        {"predicate": "dosis"},
        {"object": ValueOut("Number", 41.0)},
        {"object": ValueOut("Text", "40")},
        {"confidence": 0.91},
        {"confidence": 7.0},
        {"timestamp": 1_700_000_001},
        {"source_class": "Regulatory"},
        {"source_class": "Royal"},
        {"source_hash": "11" * 32},
        {"lifecycle": "Approved"},
        {"epoch": None},
        {"parent_hash": "00" * 32},
        {"visual_hash": "00" * 8},
        {"vector": [0.0, 1.0]},
        {"hash": "00" * 32},
        {"subject": "a\x00b"},
    ],
)
def test_verify_notices_every_changed_field(change: dict[str, object]) -> None:
    with pytest.raises(Unprocessable) as caught:
        verify_claim(shown(ALICE, **change))
    assert caught.value.reason == "reply_unverified"


@pytest.mark.parametrize(
    "change",
    [
        {"agent_id": ALICE.agent_id.hex()},
        {"timestamp": 1_700_000_001},
        {"timestamp": -1},
        {"signature": "00" * 64},
        {"signature": "zz"},
        {"agent_id": "00"},
    ],
)
def test_verify_notices_a_signature_that_is_not_its_agents(change: dict[str, object]) -> None:
    claim = shown(ALICE, BOB)
    forged: SignatureIn = msgspec.structs.replace(claim.signatures[1], **change)
    with pytest.raises(Unprocessable, match="not by"):
        verify_claim(msgspec.structs.replace(claim, signatures=[claim.signatures[0], forged]))
