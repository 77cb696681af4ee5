"""Signed claims as a client would send them."""

from __future__ import annotations

from typing import Any

import msgspec

from stemedb.model import Signer, assertion_id, canonical_bytes
from stemedb.model.wire import AssertionIn, assertion_from_wire, assertion_to_wire, signature_to_wire

SIGNER = Signer(bytes(range(32)))
OTHER = Signer(bytes(range(1, 33)))
WHEN_S = 1_700_000_000


def claim(signer: Signer = SIGNER, **fields: Any) -> dict[str, Any]:  # noqa: ANN401  (any field of a claim)
    """Return a signed claim as JSON fields; `fields` replace the defaults."""
    content = {
        "subject": "fda://drug/semaglutide",
        "predicate": "nausea_rate",
        "object": {"type": "Number", "value": 0.44},
        "confidence": 0.9,
        "timestamp": WHEN_S,
    } | fields
    assertion = assertion_from_wire(msgspec.convert(content, AssertionIn)).assertion
    signature = signer.sign(assertion_id(canonical_bytes(assertion)), assertion.timestamp)
    plain: dict[str, Any] = msgspec.to_builtins(assertion_to_wire(assertion))
    return plain | {"signatures": [msgspec.to_builtins(signature_to_wire(signature))]}


def line(number: int, **fields: Any) -> bytes:  # noqa: ANN401  (any field of a claim)
    """Return one signed claim, its subject numbered, as a bulk line."""
    return msgspec.json.encode(claim(subject=f"fda://drug/{number}", **fields))
