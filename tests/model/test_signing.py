"""Signatures: the right key over the right content at the right time, or nothing."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemedb.model import Signer, verify_signature
from tests.builders import SIGNERS

CONTENT = bytes(range(32))


@given(st.integers(0, 31), st.integers(0, 7))
def test_verify_refuses_other_content(place: int, bit: int) -> None:
    signature = SIGNERS[0].sign(CONTENT, 5)
    other = bytearray(CONTENT)
    other[place] ^= 1 << bit
    assert verify_signature(CONTENT, signature)
    assert not verify_signature(bytes(other), signature)


def test_verify_refuses_another_time_or_key() -> None:
    signature = SIGNERS[0].sign(CONTENT, 5)
    assert not verify_signature(CONTENT, msgspec.structs.replace(signature, timestamp=6))
    assert not verify_signature(CONTENT, msgspec.structs.replace(signature, agent_id=SIGNERS[1].agent_id))


@pytest.mark.parametrize("agent_id", [bytes(32), b"\x01" + bytes(31), b"\xff" * 32])
def test_verify_refuses_weak_and_invalid_keys(agent_id: bytes) -> None:
    """Small-order points would verify for any message under a lax rule."""
    signature = SIGNERS[0].sign(CONTENT, 5)
    for bad in (bytes(64), b"\x01" + bytes(63), signature.signature):
        forged = msgspec.structs.replace(signature, agent_id=agent_id, signature=bad)
        assert not verify_signature(CONTENT, forged)


def test_signer_refuses_a_seed_of_wrong_length() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Signer(b"short")


def test_signer_comes_back_from_its_seed() -> None:
    fresh = Signer.generate()
    assert Signer(fresh.seed).agent_id == fresh.agent_id
    assert Signer.generate().agent_id != fresh.agent_id
