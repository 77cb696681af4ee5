"""Query strings are read as the standard library reads them, at a third of its price."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import given, strategies

from stemedb import limits
from stemedb.api.call import Call
from stemedb.errors import Invalid

pieces = strategies.sampled_from(
    ("a", "b", "=", "&", "+", "[]", ";", "%41", "%C3%A9", "%ff", "%", "%zz", "%2B")
)
texts = strategies.lists(pieces, max_size=12).map("".join)


@given(texts)
def test_as_the_library_reads_them(text: str) -> None:
    expected: dict[str, list[str]] = {}
    call = Call({"QUERY_STRING": text}, {})
    try:
        for name, value in parse_qsl(text, keep_blank_values=True, errors="strict"):
            expected.setdefault(name.removesuffix("[]"), []).append(value)
    except UnicodeDecodeError:
        with pytest.raises(Invalid, match="UTF-8"):
            call.parameters()
    else:
        assert call.parameters() == expected


def test_too_many_are_refused() -> None:
    most = "&".join(["a=1"] * limits.QUERY_PARAMETERS_MAX)
    assert len(Call({"QUERY_STRING": most}, {}).parameters()["a"]) == limits.QUERY_PARAMETERS_MAX
    with pytest.raises(Invalid, match="more than"):
        Call({"QUERY_STRING": f"{most}&b=2"}, {}).parameters()
