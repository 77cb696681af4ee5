"""The API's description, OpenAPI 3.1, made from the same rows and structs that serve it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from http.client import responses
from typing import Any, Final

import msgspec

from stemedb import __version__
from stemedb.api import problem
from stemedb.api.routes import Route

_REF: Final = "#/components/schemas/{name}"
_ANYWHERE: Final = (400, 500, 503)  # problems that every path may answer


def describe(routes: Iterable[Route]) -> dict[str, Any]:
    """Return the description of `routes`."""
    rows = list(routes)
    bodies = [row.body for row in rows if row.body is not None]
    replies = [shape for row in rows for shapes in row.replies.values() for shape in shapes]
    shapes = list(dict.fromkeys([*bodies, *replies, problem.Problem]))
    schemas, components = msgspec.json.schema_components(shapes, schema_hook=_anything, ref_template=_REF)
    by_shape = dict(zip(shapes, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for row in rows:
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row, by_shape)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "stemedb",
            "version": __version__,
            "description": "A database of signed claims, for when sources disagree.",
        },
        "paths": paths,
        "components": {"schemas": components},
    }


def _anything(kind: type) -> dict[str, Any]:
    """Describe what msgspec leaves open: values of any JSON type."""
    if kind is object:
        return {"description": "any JSON value"}  # not empty: msgspec would take that for no answer
    raise NotImplementedError


def _operation(row: Route, by_shape: dict[Any, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": row.handler.__name__,
        "summary": row.summary,
        "responses": _responses(row, by_shape),
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", row.path)
    ]
    parameters += [
        {
            "name": each.name,
            "in": "query",
            "required": each.required,
            "description": each.meaning,
            "schema": each.schema,
        }
        for each in row.parameters
    ]
    if parameters:
        operation["parameters"] = parameters
    if row.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {row.body_type: {"schema": by_shape[row.body]}},
        }
    return operation


def _responses(row: Route, by_shape: dict[Any, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status, shapes in row.replies.items():
        found[str(status)] = {"description": responses[status]}
        if status == HTTPStatus.NOT_MODIFIED:
            continue
        schemas = [by_shape[shape] for shape in shapes] or [{"type": "string"}]
        schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
        found[str(status)]["content"] = {row.reply_type: {"schema": schema}}
    refused = {problem.MEDIA_TYPE: {"schema": by_shape[problem.Problem]}}
    for status in (*_ANYWHERE, *row.refusals):
        answer = found.setdefault(str(status), {"description": responses[status]})
        answer.setdefault("content", {}).update(refused)
    return dict(sorted(found.items()))
