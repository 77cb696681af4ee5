"""Parameters: what is taken, and what is refused and where."""

from __future__ import annotations

import pytest

from stemedb.errors import Invalid
from stemedb.model import Tier
from stemedb.query import SKEPTIC_PARAMETERS, parse_question


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("subject", ""),
        ("subject", "a\0"),
        ("subject", "x" * 257),
        ("predicate", "\x07"),
        ("lens", "truth"),
        ("lifecycle", "Approved"),
        ("epoch", "xyz"),
        ("source_class", "regulatory"),
        ("agent_id", "0" * 63),
        ("min_confidence", "nan"),
        ("min_confidence", "1.5"),
        ("min_confidence", "much"),
        ("as_of", "-1"),
        ("as_of", "yesterday"),
        ("as_of", "2026-01-01T00:00:00"),
        ("as_of", "9" * 5000),
        ("known_at", "0"),
        ("known_at", "٣"),
        ("decay", "yes"),
        ("limit", "0"),
        ("limit", "1001"),
        ("limit", "1000000000"),
        ("limit", "1e3"),
        ("limit", ""),
        ("unknown", "1"),
    ],
)
def test_refuses_a_bad_parameter_by_name(name: str, value: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_question({"subject": ["s"], "predicate": ["p"]} | {name: [value]})
    assert [fault.pointer for fault in refused.value.faults] == [f"/{name}"]


def test_names_all_faults_at_once() -> None:
    with pytest.raises(Invalid) as refused:
        parse_question({"limit": ["0"], "lens": ["recency"], "decay": ["true", "false"]})
    found = {fault.pointer for fault in refused.value.faults}
    assert found == {"/limit", "/decay", "/subject", "/predicate"}


def test_takes_times_in_both_forms() -> None:
    for text in ("1767225600", "2026-01-01T00:00:00Z", "2026-01-01T02:00:00+02:00"):
        assert parse_question({"subject": ["s"], "as_of": [text]}).as_of == 1767225600
    assert parse_question({"subject": ["s"], "known_at": ["7"]}).known_at == 7
    by_time = parse_question({"subject": ["s"], "known_at": ["2026-01-01T00:00:00.5z"]})
    assert (by_time.known_at, by_time.known_at_us) == (None, 1767225600_500_000)


def test_takes_several_tiers() -> None:
    asked = parse_question({"subject": ["s"], "source_class": ["Regulatory", "Clinical"]})
    assert asked.tiers == frozenset({Tier.REGULATORY, Tier.CLINICAL})


def test_a_path_may_know_fewer_parameters() -> None:
    with pytest.raises(Invalid, match="limit"):
        parse_question({"subject": ["s"], "limit": ["5"]}, allowed=SKEPTIC_PARAMETERS)
