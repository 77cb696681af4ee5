"""What is typed becomes what is claimed, and nothing is lost on the way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemedb.cli.output import safe, short
from stemedb.cli.values import guess_kind, shown_time, timestamp, value_fields
from stemedb.errors import Invalid
from stemedb.model import ObjectKind

TEXT, NUMBER, BOOLEAN, REFERENCE = ObjectKind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("true", BOOLEAN),
        ("false", BOOLEAN),
        ("True", TEXT),
        ("5", NUMBER),
        ("-5.25e3", NUMBER),
        ("0", NUMBER),
        ("007", TEXT),
        ("1,5", TEXT),
        ("1e999", TEXT),
        ("NaN", TEXT),
        ("Infinity", TEXT),
        ("", TEXT),
        ("5 mg", TEXT),
        ("5\n", TEXT),
        ("drug://velorin", REFERENCE),
        ("see drug://velorin", TEXT),
        ("drug://two words", TEXT),
    ],
)
def test_guess_reads_only_what_it_can_write_back(text: str, kind: ObjectKind) -> None:
    assert guess_kind(text) is kind


@pytest.mark.parametrize("text", ["NaN", "inf", "-Infinity", "1e999", "five", "", "0x10"])
def test_value_refuses_what_is_no_number(text: str) -> None:
    with pytest.raises(Invalid):
        value_fields(text, NUMBER)


def test_value_keeps_a_large_integer_whole_so_that_it_is_noticed() -> None:
    assert value_fields("9007199254740993", NUMBER) == {"type": "Number", "value": 9007199254740993}


def test_value_refuses_what_is_neither_true_nor_false() -> None:
    assert value_fields("TRUE", BOOLEAN)["value"] is True
    with pytest.raises(Invalid, match="neither true nor false"):
        value_fields("yes", BOOLEAN)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("1772366400", 1772366400),
        ("2026-03-01", 1772323200),
        ("2026-03-01T12:00:00Z", 1772366400),
        ("2026-03-01T14:00:00+02:00", 1772366400),
        ("2026-03-01 12:00:00.750z", 1772366400),
    ],
)
def test_timestamp_reads_seconds_days_and_rfc_3339(text: str, seconds: int) -> None:
    assert timestamp(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "now", "2026-03-01T12:00:00", "2026-13-01", "-5", "1e9", "\u0661\u0662"]
)
def test_timestamp_refuses_what_is_no_moment_everywhere(text: str) -> None:
    with pytest.raises(Invalid, match="is no time"):
        timestamp(text)


@given(st.integers(0, 4_000_000_000))
def test_timestamp_reads_what_is_shown(seconds: int) -> None:
    assert timestamp(shown_time(seconds)) == seconds


def test_shown_time_bears_any_number() -> None:
    assert shown_time(2**63 - 1) == str(2**63 - 1)


@given(st.text())
def test_safe_lets_nothing_through_that_a_terminal_obeys(text: str) -> None:
    shown = safe(text)
    assert shown.isprintable() or not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in shown)
    assert "\n" not in shown


def test_safe_shows_escapes_instead_of_doing_them() -> None:
    assert safe("a\x1b[2Jb\tc\u202ed") == r"a\x1b[2Jb\tc\u202ed"
    assert short("x" * 500).endswith("...")
