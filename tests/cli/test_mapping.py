"""Rows become claims: columns, constants, kinds, times; and each fault names its line."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from stemedb import limits
from stemedb.cli.importing import Layout, Mapping, RowFile
from stemedb.errors import Invalid
from stemedb.model import ObjectKind, Tier, Value

if TYPE_CHECKING:
    from pathlib import Path

    from stemedb.cli.importing import Row

COLUMNS = ("obj", "src", "value")
BASIC = {"subject": "obj", "predicate": "=born_in", "object": "value", "source": "src"}
CELLS = {"obj": "Ada", "src": "wiki", "value": "London"}


def rows_of(path: Path, content: bytes, **layout: Any) -> list[Row]:  # noqa: ANN401 - Layout's own fields
    path.write_bytes(content)
    given = layout.pop("format", None)
    kind = Layout.of(path, given, layout.pop("encoding", "utf-8"), layout.pop("columns", ()))
    with RowFile(path, kind) as file:
        return list(file.rows())


def test_mapping_takes_columns_and_constants() -> None:
    mapping = Mapping(BASIC, COLUMNS)
    claim = mapping.assertion(CELLS, 1_700_000_000)
    assert claim is not None
    assert (claim.subject, claim.predicate, claim.object) == (
        "Ada",
        "born_in",
        Value(ObjectKind.TEXT, "London"),
    )
    assert (claim.confidence, claim.timestamp, claim.source_class) == (1.0, 1_700_000_000, Tier.COMMUNITY)
    assert mapping.source(CELLS) == "wiki"


def test_mapping_fills_templates() -> None:
    mapping = Mapping({**BASIC, "subject": "=person://{obj}/{{x}}/{src}"}, COLUMNS)
    claim = mapping.assertion(CELLS, 0)
    assert claim is not None
    assert claim.subject == "person://Ada/{x}/wiki"


def test_mapping_takes_values_that_speak_for_themselves() -> None:
    given = {
        **BASIC,
        "confidence": "0.8",
        "timestamp": "2026-03-01",
        "source_class": "Clinical",
        "type": "guess",
    }
    claim = Mapping(given, COLUMNS).assertion({**CELLS, "value": "42"}, 0)
    assert claim is not None
    assert (claim.confidence, claim.timestamp, claim.source_class) == (0.8, 1772323200, Tier.CLINICAL)
    assert claim.object == Value(ObjectKind.NUMBER, 42.0)


def test_mapping_takes_columns_of_the_fields_own_names() -> None:
    columns = ("subject", "predicate", "object", "type", "confidence", "timestamp", "source_class")
    claim = Mapping({}, columns).assertion(
        dict(zip(columns, ("s", "p", "true", "Boolean", "", "", "Expert"), strict=True)), 7
    )
    assert claim is not None
    assert (claim.object, claim.confidence, claim.timestamp) == (Value(ObjectKind.BOOLEAN, True), 1.0, 7)  # noqa: FBT003
    assert claim.source_class is Tier.EXPERT


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"subject": "obj", "predicate": "=p"}, "nothing says where the object comes from"),
        ({**BASIC, "subject": "person"}, "no column is called 'person'"),
        ({**BASIC, "subject": "=x{nobody}"}, "no column is called 'nobody'"),
        ({**BASIC, "subject": "=x{"}, "no template"),
        ({**BASIC, "subject": "={obj!r}"}, "no template"),
        ({**BASIC, "subject": "={obj:>9}"}, "no template"),
    ],
)
def test_mapping_refuses_what_the_file_cannot_give(given: dict[str, str], message: str) -> None:
    with pytest.raises(Invalid, match=message):
        Mapping(given, COLUMNS)


@pytest.mark.parametrize(
    "cells",
    [
        {"obj": ""},
        {"obj": "a\x00b"},
        {"obj": "x" * (limits.SUBJECT_BYTES_MAX + 1)},
        {"value": "x" * (limits.TEXT_BYTES_MAX + 1)},
        {"conf": "1.0001"},
        {"conf": "NaN"},
        {"conf": "much"},
        {"at": "yesterday"},
        {"kind": "fruit"},
        {"kind": "number"},
        {"kind": "boolean"},
    ],
)
def test_mapping_refuses_a_row_that_is_no_claim(cells: dict[str, str]) -> None:
    given = {**BASIC, "confidence": "conf", "timestamp": "at", "type": "kind"}
    mapping = Mapping(given, (*COLUMNS, "conf", "at", "kind"))
    with pytest.raises(Invalid):
        mapping.assertion({**CELLS, "conf": "", "at": "", "kind": "", **cells}, 0)


def test_mapping_passes_over_an_empty_object_and_strips_when_told() -> None:
    assert Mapping(BASIC, COLUMNS).assertion({**CELLS, "value": ""}, 0) is None
    assert Mapping(BASIC, COLUMNS, strip=True).assertion({**CELLS, "value": " \t"}, 0) is None
    claim = Mapping(BASIC, COLUMNS, strip=True).assertion({**CELLS, "obj": " Ada "}, 0)
    assert claim is not None
    assert claim.subject == "Ada"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (5, Value(ObjectKind.NUMBER, 5.0)),
        (True, Value(ObjectKind.BOOLEAN, True)),  # noqa: FBT003 - the value of a claim
        ("5", Value(ObjectKind.TEXT, "5")),
        ({"type": "Reference", "value": "drug://x"}, Value(ObjectKind.REFERENCE, "drug://x")),
        ({"Number": 1.5}, Value(ObjectKind.NUMBER, 1.5)),
    ],
)
def test_mapping_takes_json_values_as_they_are(given: object, expected: Value) -> None:
    claim = Mapping({}, None).assertion({"subject": "s", "predicate": "p", "object": given}, 0)
    assert claim is not None
    assert claim.object == expected


@pytest.mark.parametrize("given", [[1], {"a": {}}, 2**60, {"type": "Number", "value": "5"}])
def test_mapping_refuses_json_values_that_are_no_object(given: object) -> None:
    with pytest.raises(Invalid):
        Mapping({}, None).assertion({"subject": "s", "predicate": "p", "object": given}, 0)


def test_rows_of_csv_know_the_line_they_begin_on(tmp_path: Path) -> None:
    content = b'\xef\xbb\xbfa,b\r\n1,2\r\n\r\n"x\ny",3\r\n4,5\r\n'
    found = [(row.line, row.cells) for row in rows_of(tmp_path / "x.csv", content)]
    assert found == [(2, {"a": "1", "b": "2"}), (4, {"a": "x\ny", "b": "3"}), (6, {"a": "4", "b": "5"})]


def test_rows_go_on_after_a_line_that_cannot_be_read(tmp_path: Path) -> None:
    long = b"y" * (limits.IMPORT_LINE_BYTES_MAX * 2)
    content = b"a,b\n1,2\n\xff,2\n1,2,3\n" + long + b'\n"q"x,1\n5,6\n'
    found = rows_of(tmp_path / "x.csv", content)
    assert [(row.line, row.fault is None) for row in found] == [
        (2, True),
        (3, False),
        (4, False),
        (5, False),
        (6, False),
        (7, True),
    ]
    assert "not utf-8" in (found[1].fault or "")
    assert "3 cells" in (found[2].fault or "")


def test_rows_of_ndjson_report_each_broken_line(tmp_path: Path) -> None:
    lines = [b'{"a":1}', b'{"a":', b"[1]", b"", b'{"a":NaN}', b'{"a":"\\ud800"}', b"\xff", b'{"a":2}']
    found = rows_of(tmp_path / "x.jsonl", b"\n".join(lines))
    assert [(row.line, row.fault is None) for row in found] == [
        (1, True),
        (2, False),
        (3, False),
        (5, False),
        (6, False),
        (7, False),
        (8, True),
    ]


def test_rows_are_unzipped_and_named_from_outside(tmp_path: Path) -> None:
    content = gzip.compress("src\tMünchen\n".encode("latin-1"))
    found = rows_of(tmp_path / "x.tsv.gz", content, encoding="latin-1", columns=("who", "where"))
    assert [row.cells for row in found] == [{"who": "src", "where": "München"}]


def test_rows_of_a_cut_archive_say_where_it_ends(tmp_path: Path) -> None:
    whole = gzip.compress("".join(json.dumps({"a": i}) + "\n" for i in range(50_000)).encode())
    with pytest.raises(Invalid, match="cannot be read beyond line"):
        rows_of(tmp_path / "x.ndjson.gz", whole[: len(whole) // 2])


@pytest.mark.parametrize("content", [b"a,a\n1,2\n", b"\xff\n", b'"a\n'])
def test_rows_without_a_usable_header_are_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(Invalid):
        rows_of(tmp_path / "x.csv", content)


def test_layout_asks_when_the_suffix_says_nothing(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot tell the format"):
        Layout.of(tmp_path / "claims.txt", None, "utf-8", ())
    assert Layout.of(tmp_path / "claims.txt", "tsv", "utf-8", ()).format == "tsv"
