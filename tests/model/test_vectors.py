"""The worked examples of an independent encoder, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stemedb.model import Signer, assertion_id, canonical_bytes, decode_canonical, verify_signature
from stemedb.model.wire import AssertionIn, assertion_from_wire, assertion_to_wire

VECTORS = json.loads((Path(__file__).parents[1] / "fixtures" / "vectors.json").read_text())
ASSERTIONS = VECTORS["assertions"]


@pytest.mark.parametrize("vector", ASSERTIONS, ids=[vector["name"] for vector in ASSERTIONS])
def test_assertion_vectors(vector: dict[str, Any]) -> None:
    assertion = assertion_from_wire(msgspec.convert(vector["assertion"], AssertionIn)).assertion
    canonical = canonical_bytes(assertion)
    assert canonical.hex() == vector["canonical"]
    content_id = assertion_id(canonical)
    assert content_id.hex() == vector["id"]
    assert decode_canonical(canonical) == assertion
    for given in vector["signatures"]:
        signature = Signer(bytes.fromhex(given["seed"])).sign(content_id, given["timestamp"])
        assert signature.agent_id.hex() == given["agent_id"]
        assert signature.signature.hex() == given["signature"]
        assert verify_signature(content_id, signature)


@pytest.mark.parametrize("vector", ASSERTIONS, ids=[vector["name"] for vector in ASSERTIONS])
def test_json_shape_round_trips(vector: dict[str, Any]) -> None:
    assertion = assertion_from_wire(msgspec.convert(vector["assertion"], AssertionIn)).assertion
    sent = msgspec.json.encode(assertion_to_wire(assertion))
    again = assertion_from_wire(msgspec.json.decode(sent, type=AssertionIn)).assertion
    assert canonical_bytes(again).hex() == vector["canonical"]
