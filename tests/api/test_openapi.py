"""The description is complete: every route, every reply, every problem; and so is the reference."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec

from stemedb.api.app import all_routes
from stemedb.api.openapi import describe
from stemedb.query import PARAMETERS, SKEPTIC_PARAMETERS

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
        operation["operationId"] for methods in described()["paths"].values() for operation in methods.values()
    ]
    assert len(ids) == len(set(ids))


def test_every_reference_leads_somewhere() -> None:
    document = described()
    names = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert names
    assert names <= set(document["components"]["schemas"])


def test_questions_describe_every_parameter() -> None:
    paths = described()["paths"]
    for path, wanted in (("/v1/query", PARAMETERS), ("/v1/skeptic", SKEPTIC_PARAMETERS)):
        assert {each["name"] for each in paths[path]["get"]["parameters"]} == wanted


def test_reference_names_every_route() -> None:
    reference = (ROOT / "docs" / "reference" / "api.md").read_text()
    for route in all_routes():
        assert f"`{route.method} {route.path}`" in reference
