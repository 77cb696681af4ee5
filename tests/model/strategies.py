"""Any assertion that the rules allow."""

from __future__ import annotations

import struct

from hypothesis import strategies as st

from stemedb.model import Assertion, Lifecycle, ObjectKind, Tier, Value

_CHARACTERS = st.characters(exclude_categories=["Cs", "Cc"])


def names(bytes_max: int) -> st.SearchStrategy[str]:
    """Entity names within their limit in UTF-8."""
    return st.text(_CHARACTERS, min_size=1, max_size=bytes_max // 4)


FINITE = st.floats(allow_nan=False, allow_infinity=False)

VALUES = st.one_of(
    st.builds(Value, st.just(ObjectKind.TEXT), st.text(st.characters(exclude_categories=["Cs"]))),
    st.builds(Value, st.just(ObjectKind.NUMBER), FINITE),
    st.builds(Value, st.just(ObjectKind.BOOLEAN), st.booleans()),
    st.builds(Value, st.just(ObjectKind.REFERENCE), names(256)),
)


def _pack(numbers: list[float]) -> bytes:
    return struct.pack(f"<{len(numbers)}f", *numbers)


VECTORS = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=8).map(
    _pack
)

ASSERTIONS = st.builds(
    Assertion,
    subject=names(256),
    predicate=names(128),
    object=VALUES,
    confidence=st.floats(0, 1),
    timestamp=st.integers(0, 2**63 - 1),
    source_class=st.sampled_from(Tier),
    source_hash=st.binary(min_size=32, max_size=32),
    lifecycle=st.sampled_from(Lifecycle),
    epoch=st.none() | st.binary(min_size=32, max_size=32),
    parent_hash=st.none() | st.binary(min_size=32, max_size=32),
    visual_hash=st.none() | st.binary(min_size=8, max_size=8),
    vector=st.none() | VECTORS,
)
