"""What comes in: every rule of the table, each fault at its place."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from stemedb.errors import Invalid
from stemedb.model import Lifecycle, ObjectKind, Tier, Value
from stemedb.model.claim import ZERO_HASH
from stemedb.model.wire import AssertionIn, assertion_from_wire

GOOD: dict[str, Any] = {
    "subject": "s",
    "predicate": "p",
    "object": {"type": "Number", "value": 1},
    "confidence": 1,
    "timestamp": 0,
}


def read(**changes: Any) -> Any:  # noqa: ANN401
    raw = msgspec.json.encode(GOOD | changes)
    return assertion_from_wire(msgspec.json.decode(raw, type=AssertionIn)).assertion


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"subject": ""}, "/subject"),
        ({"subject": "x" * 257}, "/subject"),
        ({"subject": "é" * 129}, "/subject"),
        ({"subject": "a\0b"}, "/subject"),
        ({"subject": "a\x85b"}, "/subject"),
        ({"predicate": "x" * 129}, "/predicate"),
        ({"predicate": "\n"}, "/predicate"),
        ({"object": {}}, "/object"),
        ({"object": {"type": "Number", "value": 1, "more": 1}}, "/object"),
        ({"object": {"type": "Text"}}, "/object"),
        ({"object": {"type": "Date", "value": "x"}}, "/object/type"),
        ({"object": {"type": 1, "value": "x"}}, "/object/type"),
        ({"object": {"Date": 1}}, "/object"),
        ({"object": {"Number": "1"}}, "/object/Number"),
        ({"object": {"Number": True}}, "/object/Number"),
        ({"object": {"type": "Number", "value": 2**53 + 1}}, "/object/value"),
        ({"object": {"type": "Number", "value": -(2**53) - 1}}, "/object/value"),
        ({"object": {"type": "Boolean", "value": 1}}, "/object/value"),
        ({"object": {"type": "Text", "value": 1}}, "/object/value"),
        ({"object": {"type": "Text", "value": "x" * 65_537}}, "/object/value"),
        ({"object": {"type": "Reference", "value": "x" * 257}}, "/object/value"),
        ({"object": {"type": "Reference", "value": ""}}, "/object/value"),
        ({"confidence": 1.0001}, "/confidence"),
        ({"confidence": -0.1}, "/confidence"),
        ({"timestamp": -1}, "/timestamp"),
        ({"timestamp": 2**63}, "/timestamp"),
        ({"timestamp": None}, "/timestamp"),
        ({"source_class": "regulatory"}, "/source_class"),
        ({"lifecycle": "approved"}, "/lifecycle"),
        ({"source_hash": "ab"}, "/source_hash"),
        ({"epoch": "A" * 64}, "/epoch"),
        ({"parent_hash": "g" * 64}, "/parent_hash"),
        ({"visual_hash": "0" * 15}, "/visual_hash"),
        ({"vector": []}, "/vector"),
        ({"vector": [0.0] * 4097}, "/vector"),
        ({"vector": [1e300]}, "/vector"),
        ({"hash": "00"}, "/hash"),
        (
            {"signatures": [{"agent_id": "", "signature": "0" * 128, "timestamp": 0}]},
            "/signatures/0/agent_id",
        ),
        (
            {"signatures": [{"agent_id": "0" * 64, "signature": "0" * 128, "timestamp": 0}] * 65},
            "/signatures",
        ),
    ],
)
def test_refuses_what_the_rules_forbid(changes: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        read(**changes)
    assert [fault.pointer for fault in refused.value.faults] == [pointer]


def test_names_every_fault_at_once() -> None:
    with pytest.raises(Invalid) as refused:
        read(subject="", confidence=2, epoch="x")
    assert [fault.pointer for fault in refused.value.faults] == ["/subject", "/confidence", "/epoch"]


def test_takes_the_largest_allowed() -> None:
    read(
        subject="é" * 128,
        predicate="x" * 128,
        object={"type": "Text", "value": "x" * 65_536},
        vector=[0.5] * 4096,
    )
    assert read(object={"Number": 2**53}).object == Value(ObjectKind.NUMBER, float(2**53))


def test_fills_defaults() -> None:
    assertion = read(subject="FDA://ozempic")
    assert assertion.source_class is Tier.REGULATORY
    assert read().source_class is Tier.COMMUNITY
    assert read(subject="unknown://x").source_class is Tier.COMMUNITY
    assert assertion.lifecycle is Lifecycle.PROPOSED
    assert assertion.source_hash == ZERO_HASH


@pytest.mark.parametrize(
    ("tagged", "plain"),
    [
        ({"Number": 96.7}, {"type": "Number", "value": 96.7}),
        ({"Text": "x"}, {"type": "Text", "value": "x"}),
        ({"Boolean": False}, {"type": "Boolean", "value": False}),
        ({"Reference": "x"}, {"type": "Reference", "value": "x"}),
    ],
)
def test_takes_both_shapes_of_an_object(tagged: dict[str, Any], plain: dict[str, Any]) -> None:
    assert read(object=tagged) == read(object=plain)


@pytest.mark.parametrize(
    "raw", [b"{", b'{"subject": "\xff"}', b'{"subject": "\\ud800"}', b'{"confidence": NaN}']
)
def test_json_itself_is_refused(raw: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        msgspec.json.decode(raw, type=AssertionIn)
