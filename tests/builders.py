"""Claims for tests: signers that are the same each run, and claims that differ where a test says so."""

from __future__ import annotations

from typing import Any

from stemedb.engine import Checked
from stemedb.engine.claims import take_claim
from stemedb.engine.verifiers import verify_here
from stemedb.model import (
    Assertion,
    ObjectKind,
    SignedAssertion,
    Signer,
    Value,
    assertion_id,
    canonical_bytes,
)

NOW_S = 1_760_000_000
SIGNERS = tuple(Signer(bytes([number]) * 32) for number in range(1, 9))


def number(value: float) -> Value:
    """Return a Number value."""
    return Value(ObjectKind.NUMBER, float(value))


def text(value: str) -> Value:
    """Return a Text value."""
    return Value(ObjectKind.TEXT, value)


def assertion(**fields: Any) -> Assertion:  # noqa: ANN401 - any field of an assertion
    """Return an assertion with defaults for what is not given."""
    defaults: dict[str, Any] = {
        "subject": "Tesla_Inc",
        "predicate": "has_revenue",
        "object": number(96.7),
        "confidence": 0.9,
        "timestamp": NOW_S,
    }
    return Assertion(**(defaults | fields))


def signed(*signers: Signer, at: int | None = None, **fields: Any) -> SignedAssertion:  # noqa: ANN401
    """Return an assertion signed by `signers` (the first of all where none is given)."""
    content = assertion(**fields)
    content_id = assertion_id(canonical_bytes(content))
    when = content.timestamp if at is None else at
    return SignedAssertion(content, tuple(each.sign(content_id, when) for each in signers or SIGNERS[:1]))


def checked(*signers: Signer, at: int | None = None, **fields: Any) -> Checked:  # noqa: ANN401
    """Return the same, checked as the engine does it."""
    taken = take_claim(signed(*signers, at=at, **fields), None, unsigned_allowed=False)
    return taken.verified(verify_here(taken.signed))
