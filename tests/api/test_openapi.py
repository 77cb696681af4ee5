"""The description is complete: every route, every reply, every problem; and so is the reference."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec

from stemedb.api.app import all_routes
from stemedb.api.openapi import describe
from stemedb.errors import StemedbError
from stemedb.model.wire import KINDS, LIFECYCLES, SOURCE_STATUSES, SUPERSESSIONS, TIERS_BY_NAME
from stemedb.query import PARAMETERS, SKEPTIC_PARAMETERS
from stemedb.telemetry import Telemetry

ROOT = Path(__file__).resolve().parents[2]


def described() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(msgspec.json.encode(describe(all_routes())))
    return found


def test_every_route_is_described() -> None:
    document = described()
    assert document["openapi"] == "3.1.0"
    for route in all_routes():
        operation = document["paths"][route.path][route.method.lower()]
        assert operation["summary"]
        assert {"400", "500", "503"} <= set(operation["responses"])
        assert ("requestBody" in operation) == (route.body is not None)


def test_operation_ids_are_unique() -> None:
    ids = [
        operation["operationId"]
        for methods in described()["paths"].values()
        for operation in methods.values()
    ]
    assert len(ids) == len(set(ids))


def test_every_reference_leads_somewhere() -> None:
    document = described()
    names = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert names
    assert names <= set(document["components"]["schemas"])


def test_questions_describe_every_parameter() -> None:
    paths = described()["paths"]
    for path, wanted in (
        ("/v1/query", PARAMETERS),
        ("/v1/skeptic", SKEPTIC_PARAMETERS),
        ("/v1/layered", SKEPTIC_PARAMETERS),
        ("/v1/constraints", SKEPTIC_PARAMETERS),
    ):
        parameters = paths[path]["get"]["parameters"]
        assert {each["name"] for each in parameters if each.get("in") == "query"} == wanted


def test_reference_names_every_route() -> None:
    reference = (ROOT / "docs" / "reference" / "api.md").read_text()
    for route in all_routes():
        assert f"`{route.method} {route.path}`" in reference


def test_described_choices_are_the_ones_that_are_taken() -> None:
    shapes = described()["components"]["schemas"]
    for shape, field, names in (
        ("AssertionIn", "source_class", TIERS_BY_NAME),
        ("AssertionIn", "lifecycle", LIFECYCLES),
        ("SourceIn", "status", SOURCE_STATUSES),
        ("EpochIn", "supersession", SUPERSESSIONS),
    ):
        about = shapes[shape]["properties"][field]
        assert set(about.get("anyOf", [about])[0]["enum"]) == set(names)
    forms = [form["properties"] for form in shapes["AssertionIn"]["properties"]["object"]["anyOf"]]
    assert {form["type"]["const"] for form in forms if "type" in form} == set(KINDS)
    assert {name for form in forms if "type" not in form for name in form} == set(KINDS)


def test_headers_are_described() -> None:
    document = described()
    asked = document["paths"]["/v1/feed"]["get"]
    refs = {each.get("$ref", "").rpartition("/")[2] for each in asked["parameters"]}
    assert {"Stemedb-Min-Seq", "If-None-Match", "X-Request-Id"} <= refs
    assert set(asked["responses"]["200"]["headers"]) == {"X-Request-Id", "Stemedb-Seq", "ETag"}
    said = document["paths"]["/v1/vote"]["post"]
    assert set(said["responses"]["201"]["headers"]) == {"X-Request-Id", "Stemedb-Seq"}
    refused = document["components"]["responses"]["Refused503"]
    assert "Retry-After" in refused["headers"]


def codes_in_the_code() -> set[str]:
    """Every code that a refusal may carry: those of the classes, and those given where they are raised."""
    found: set[str] = set()
    for path in (ROOT / "stemedb").rglob("*.py"):
        if path.parts[-2] not in {"cli", "client", "importing", "commands"}:
            found.update(re.findall(r'\bcode=f?"([a-z_]+)"', path.read_text()))
    return found


def test_reference_names_every_code_of_an_error() -> None:
    reference = "".join(path.read_text() for path in (ROOT / "docs" / "reference").glob("*.md"))
    classes = {each.code for each in tree(StemedbError)}
    assert {code for code in classes | codes_in_the_code() if f"`{code}`" not in reference} == set()


def tree(kind: type[StemedbError]) -> list[type[StemedbError]]:
    return [kind, *(each for child in kind.__subclasses__() for each in tree(child))]


def test_reference_names_every_metric() -> None:
    reference = "".join(path.read_text() for path in (ROOT / "docs" / "reference").glob("*.md"))
    names = re.findall(r"^# TYPE (stemedb_\S+) ", Telemetry().exposition().decode(), re.MULTILINE)
    assert names
    assert [name for name in names if f"`{name}" not in reference] == []
