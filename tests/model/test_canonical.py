"""Canonical bytes: one encoding for each claim, and no two claims with one."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from stemedb.model import Assertion, assertion_id, canonical_bytes, decode_canonical
from stemedb.model.wire import AssertionIn, assertion_from_wire, assertion_to_wire
from tests.model.strategies import ASSERTIONS


@given(ASSERTIONS)
def test_any_assertion_round_trips(assertion: Assertion) -> None:
    canonical = canonical_bytes(assertion)
    assert decode_canonical(canonical) == assertion
    assert canonical_bytes(decode_canonical(canonical)) == canonical


@given(ASSERTIONS)
def test_any_assertion_round_trips_through_json(assertion: Assertion) -> None:
    sent = msgspec.json.encode(assertion_to_wire(assertion))
    received = assertion_from_wire(msgspec.json.decode(sent, type=AssertionIn)).assertion
    assert canonical_bytes(received) == canonical_bytes(assertion)


@given(ASSERTIONS, st.data())
def test_any_changed_byte_changes_the_id(assertion: Assertion, data: st.DataObject) -> None:
    canonical = bytearray(canonical_bytes(assertion))
    before = assertion_id(bytes(canonical))
    place = data.draw(st.integers(0, len(canonical) - 1))
    canonical[place] ^= data.draw(st.integers(1, 255))
    assert assertion_id(bytes(canonical)) != before


@given(ASSERTIONS, ASSERTIONS)
def test_different_assertions_have_different_ids(one: Assertion, other: Assertion) -> None:
    same = canonical_bytes(one) == canonical_bytes(other)
    assert (assertion_id(canonical_bytes(one)) == assertion_id(canonical_bytes(other))) == same
