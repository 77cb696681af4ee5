"""The JSON shapes of claims and replies (api.md "Shapes"), and the way between them and the model.

Binary values are lower-case hex. What comes in is checked here, field by field, and every fault names its
place by a JSON pointer; what goes out is made here, so that a claim looks the same in every reply.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from math import isfinite
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from stemedb import limits
from stemedb.errors import Fault, Invalid
from stemedb.model.claim import (
    ZERO_HASH,
    Assertion,
    Lifecycle,
    ObjectKind,
    Signature,
    SignedAssertion,
    Tier,
    Value,
)
from stemedb.model.fields import (
    Confidence,
    Hash,
    ObjectIn,
    Predicate,
    Scalar,
    Seconds,
    SignatureText,
    SourceClass,
    Stage,
    Subject,
    Vector,
    VisualHash,
)
from stemedb.model.records import SourceStatus
from stemedb.model.statements import Supersession
from stemedb.model.tiers import TIERS, default_tier

Choice = TypeVar("Choice")

KIND_NAMES = {
    ObjectKind.TEXT: "Text",
    ObjectKind.NUMBER: "Number",
    ObjectKind.BOOLEAN: "Boolean",
    ObjectKind.REFERENCE: "Reference",
}
LIFECYCLE_NAMES = {
    Lifecycle.PROPOSED: "Proposed",
    Lifecycle.UNDER_REVIEW: "UnderReview",
    Lifecycle.APPROVED: "Approved",
    Lifecycle.DEPRECATED: "Deprecated",
    Lifecycle.REJECTED: "Rejected",
}
TIER_NAMES = {tier: rule.name for tier, rule in TIERS.items()}
SOURCE_STATUS_NAMES = {
    SourceStatus.ACTIVE: "Active",
    SourceStatus.DISPUTED: "Disputed",
    SourceStatus.RETRACTED: "Retracted",
}
SOURCE_STATUSES = {name: status for status, name in SOURCE_STATUS_NAMES.items()}
SUPERSESSION_NAMES = {
    Supersession.REPLACES: "Replaces",
    Supersession.REFINES: "Refines",
    Supersession.RETRACTS: "Retracts",
}
SUPERSESSIONS = {name: supersession for supersession, name in SUPERSESSION_NAMES.items()}
KINDS = {name: kind for kind, name in KIND_NAMES.items()}
LIFECYCLES = {name: stage for stage, name in LIFECYCLE_NAMES.items()}
TIERS_BY_NAME = {name: tier for tier, name in TIER_NAMES.items()}

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_HEX = re.compile(r"[0-9a-f]*\Z")


class SignatureIn(msgspec.Struct, forbid_unknown_fields=True):
    """A signature as a client sends it and as every reply shows it."""

    agent_id: Hash
    signature: SignatureText
    timestamp: Seconds


class AssertionIn(msgspec.Struct, forbid_unknown_fields=True):
    """An assertion as a client sends it: POST /v1/assert, a bulk line, POST /v1/assert/prepare."""

    subject: Subject
    predicate: Predicate
    object: ObjectIn
    confidence: Confidence
    timestamp: Seconds | None = None
    source_class: SourceClass | None = None
    source_hash: Hash | None = None
    lifecycle: Stage = "Proposed"
    epoch: Hash | None = None
    parent_hash: Hash | None = None
    visual_hash: VisualHash | None = None
    vector: Vector | None = None
    signatures: Annotated[list[SignatureIn], Meta(extra_json_schema={"maxItems": limits.SIGNATURES_MAX})] = []
    hash: Hash | None = None


class PrepareIn(AssertionIn):
    """An assertion to be completed and hashed, not yet signed: POST /v1/assert/prepare."""

    signature_timestamp: Seconds | None = None


class ValueOut(msgspec.Struct, frozen=True):
    """A claim's object in a reply."""

    type: str
    value: Scalar


class Faults:
    """Collects what is wrong with one input, each fault with a JSON pointer."""

    def __init__(self) -> None:
        """Start with none."""
        self.found: list[Fault] = []

    def add(self, pointer: str, detail: str) -> None:
        """Note one fault."""
        self.found.append(Fault(pointer, detail))

    def name(self, pointer: str, text: str, bytes_max: int) -> str:
        """Check an entity name: 1..`bytes_max` bytes of UTF-8 without control characters."""
        size = len(text.encode("utf-8", "surrogatepass"))
        if not 1 <= size <= bytes_max:
            self.add(pointer, f"must be 1 to {bytes_max} bytes of UTF-8, not {size}")
        elif _CONTROL.search(text):
            self.add(pointer, "must not contain NUL or other control characters")
        return text

    def binary(self, pointer: str, text: str, size_bytes: int) -> bytes:
        """Check and convert lower-case hex of exactly `size_bytes` bytes."""
        if len(text) != 2 * size_bytes or not _HEX.match(text):
            self.add(pointer, f"must be {2 * size_bytes} lower-case hex digits")
            return bytes(size_bytes)
        return bytes.fromhex(text)

    def optional_binary(self, pointer: str, text: str | None, size_bytes: int) -> bytes | None:
        """Convert as `binary` does; None stays None."""
        return None if text is None else self.binary(pointer, text, size_bytes)

    def timestamp(self, pointer: str, value: int) -> int:
        """Check Unix seconds."""
        if not 0 <= value <= limits.TIMESTAMP_S_MAX:
            self.add(pointer, f"must be Unix seconds from 0 to {limits.TIMESTAMP_S_MAX}")
            return 0
        return value

    def choice(self, pointer: str, name: str, choices: Mapping[str, Choice], fallback: Choice) -> Choice:
        """Check and convert one of some names; `fallback` stands in for a wrong one."""
        if name not in choices:
            self.add(pointer, f"must be one of {', '.join(choices)}")
        return choices.get(name, fallback)

    def raise_if_any(self) -> None:
        """Raise `Invalid` with all that was found, if anything was."""
        if self.found:
            first = self.found[0]
            more = f" (and {len(self.found) - 1} more)" if len(self.found) > 1 else ""
            raise Invalid(
                f"{first.pointer}: {first.detail}{more}", code="validation", faults=tuple(self.found)
            )


def assertion_from_wire(wire: AssertionIn, *, default_timestamp: int | None = None) -> SignedAssertion:
    """Check `wire` and return what it says; `default_timestamp` fills a missing time (Unix seconds).

    Raises `Invalid` with every fault found. Neither signatures nor `hash` are verified here.
    """
    faults = Faults()
    timestamp = wire.timestamp if wire.timestamp is not None else default_timestamp
    if timestamp is None:
        faults.add("/timestamp", "is required: it is part of what is signed")
        timestamp = 0
    assertion = Assertion(
        subject=faults.name("/subject", wire.subject, limits.SUBJECT_BYTES_MAX),
        predicate=faults.name("/predicate", wire.predicate, limits.PREDICATE_BYTES_MAX),
        object=read_value(faults, wire.object),
        confidence=_confidence(faults, wire.confidence),
        timestamp=faults.timestamp("/timestamp", timestamp),
        source_class=_tier(faults, wire.source_class, wire.subject),
        source_hash=faults.optional_binary("/source_hash", wire.source_hash, 32) or ZERO_HASH,
        lifecycle=faults.choice("/lifecycle", wire.lifecycle, LIFECYCLES, Lifecycle.PROPOSED),
        epoch=faults.optional_binary("/epoch", wire.epoch, 32),
        parent_hash=faults.optional_binary("/parent_hash", wire.parent_hash, 32),
        visual_hash=faults.optional_binary("/visual_hash", wire.visual_hash, 8),
        vector=_vector(faults, wire.vector),
    )
    signatures = _signatures(faults, wire.signatures)
    if wire.hash is not None:
        faults.binary("/hash", wire.hash, 32)
    faults.raise_if_any()
    return SignedAssertion(assertion, signatures)


def read_value(faults: Faults, given: dict[str, Scalar]) -> Value:
    """Read `{"type", "value"}` or the externally tagged `{"Number": 96.7}`."""
    if set(given) == {"type", "value"}:
        name, content = given["type"], given["value"]
        pointer = "/object/value"
    elif len(given) == 1 and next(iter(given)) in KINDS:
        ((name, content),) = given.items()
        pointer = f"/object/{name}"
    else:
        faults.add("/object", 'must be {"type", "value"} and nothing else')
        return Value(ObjectKind.TEXT, "")
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        faults.add("/object/type", f"must be one of {', '.join(KINDS)}")
        return Value(ObjectKind.TEXT, "")
    if kind is ObjectKind.NUMBER:
        return Value(kind, _number(faults, pointer, content))
    if kind is ObjectKind.BOOLEAN:
        if not isinstance(content, bool):
            faults.add(pointer, "must be true or false")
        return Value(kind, bool(content))
    return Value(kind, _text(faults, pointer, content, kind))


def _number(faults: Faults, pointer: str, content: Scalar) -> float:
    if isinstance(content, (bool, str)):
        faults.add(pointer, "must be a number")
        return 0.0
    if isinstance(content, int) and abs(content) > limits.INTEGER_ABS_MAX:
        faults.add(pointer, "an integer beyond +-2^53 is not exact as a float64; send it as Text")
        return 0.0
    number = float(content)
    if not isfinite(number):
        faults.add(pointer, "must be finite")
    return number


def _text(faults: Faults, pointer: str, content: Scalar, kind: ObjectKind) -> str:
    if not isinstance(content, str):
        faults.add(pointer, "must be a string")
        return ""
    if kind is ObjectKind.REFERENCE:
        return faults.name(pointer, content, limits.REFERENCE_BYTES_MAX)
    if len(content.encode("utf-8", "surrogatepass")) > limits.TEXT_BYTES_MAX:
        faults.add(pointer, f"must be at most {limits.TEXT_BYTES_MAX} bytes of UTF-8")
    return content


def _confidence(faults: Faults, confidence: float) -> float:
    if not 0.0 <= confidence <= 1.0:
        faults.add("/confidence", "must be from 0 to 1")
    return float(confidence)


def _tier(faults: Faults, name: str | None, subject: str) -> Tier:
    if name is None:
        return default_tier(subject)
    return faults.choice("/source_class", name, TIERS_BY_NAME, Tier.COMMUNITY)


def _vector(faults: Faults, numbers: list[float] | None) -> bytes | None:
    if numbers is None:
        return None
    if not 1 <= len(numbers) <= limits.VECTOR_NUMBERS_MAX:
        faults.add("/vector", f"must hold 1 to {limits.VECTOR_NUMBERS_MAX} numbers, not {len(numbers)}")
        return None
    try:
        return struct.pack(f"<{len(numbers)}f", *numbers)
    except OverflowError:
        faults.add("/vector", "must hold numbers within float32's range")
        return None


def _signatures(faults: Faults, given: list[SignatureIn]) -> tuple[Signature, ...]:
    if len(given) > limits.SIGNATURES_MAX:
        faults.add("/signatures", f"must be at most {limits.SIGNATURES_MAX}, not {len(given)}")
        return ()
    return tuple(
        Signature(
            faults.binary(f"/signatures/{index}/agent_id", each.agent_id, 32),
            faults.binary(f"/signatures/{index}/signature", each.signature, 64),
            faults.timestamp(f"/signatures/{index}/timestamp", each.timestamp),
        )
        for index, each in enumerate(given)
    )


def assertion_to_wire(assertion: Assertion) -> dict[str, Any]:
    """Return the JSON fields of `assertion`, complete, in canonical order: what a client signs and sends."""
    return {
        "subject": assertion.subject,
        "predicate": assertion.predicate,
        "object": value_to_wire(assertion.object),
        "confidence": assertion.confidence,
        "timestamp": assertion.timestamp,
        "source_class": TIER_NAMES[assertion.source_class],
        "source_hash": assertion.source_hash.hex(),
        "lifecycle": LIFECYCLE_NAMES[assertion.lifecycle],
        "epoch": _hex(assertion.epoch),
        "parent_hash": _hex(assertion.parent_hash),
        "visual_hash": _hex(assertion.visual_hash),
        "vector": vector_numbers(assertion.vector),
    }


def signature_to_wire(signature: Signature) -> SignatureIn:
    """Return the JSON shape of `signature`."""
    return SignatureIn(signature.agent_id.hex(), signature.signature.hex(), signature.timestamp)


def value_to_wire(value: Value) -> ValueOut:
    """Return the JSON shape of a claim's object."""
    return ValueOut(KIND_NAMES[value.kind], value.value)


def vector_numbers(packed: bytes | None) -> list[float] | None:
    """Return the numbers of a packed float32 vector, exact as float64."""
    return None if packed is None else list(struct.unpack(f"<{len(packed) // 4}f", packed))


def _hex(binary: bytes | None) -> str | None:
    return None if binary is None else binary.hex()
