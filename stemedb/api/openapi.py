"""The API's description, OpenAPI 3.1, made from the same rows and structs that serve it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from http.client import responses
from typing import Any, Final

import msgspec

from stemedb import __version__, limits
from stemedb.api import problem
from stemedb.api.call import JSON
from stemedb.api.inputs import ID, KEY_ID
from stemedb.api.routes import Route

_REF: Final = "#/components/schemas/{name}"
# Problems that every path may answer: the input, its size and pace, and the state of the service.
_ANYWHERE: Final = (400, 401, 403, 405, 408, 414, 429, 431, 500, 503)
_RETRIED: Final = (429, 503)
_POSITION: Final[dict[str, Any]] = {"type": "integer", "minimum": 0}
_TEXT: Final[dict[str, Any]] = {"type": "string"}

_REPLY_HEADERS: Final[dict[str, dict[str, Any]]] = {
    "X-Request-Id": {"description": "the request's id, as sent or made", "required": True, "schema": _TEXT},
    "Stemedb-Seq": {
        "description": "the log position that the answer saw, or that holds the change",
        "required": True,
        "schema": _POSITION,
    },
    "ETag": {"description": "a hash of the body", "required": True, "schema": _TEXT},
    "Stemedb-Audit-Id": {
        "description": "the audit of this answer; missing where audits could not keep up",
        "schema": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    },
    "Retry-After": {"description": "seconds to wait", "required": True, "schema": _POSITION},
    "Allow": {"description": "the methods of this path", "schema": _TEXT},
}
_REQUEST_HEADERS: Final[dict[str, dict[str, Any]]] = {
    "X-Request-Id": {
        "description": f"kept if it is 1 to {limits.REQUEST_ID_CHARS_MAX} plain characters, else replaced",
        "schema": _TEXT,
    },
    "Stemedb-Min-Seq": {
        "description": "wait up to 2 s until this log position is visible",
        "schema": _POSITION,
    },
    "If-None-Match": {
        "description": "the ETag of what the client has: 304 if it still stands",
        "schema": _TEXT,
    },
}


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
    refused = sorted({*_ANYWHERE, *(status for row in rows for status in row.refusals)})
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "stemedb",
            "version": __version__,
            "description": "A database of signed claims, for when sources disagree.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "headers": _REPLY_HEADERS,
            "parameters": {
                name: {"name": name, "in": "header", "required": False, **about}
                for name, about in _REQUEST_HEADERS.items()
            },
            "responses": {
                f"Refused{status}": _refusal(status, by_shape[problem.Problem]) for status in refused
            },
        },
    }


def _anything(kind: type) -> dict[str, Any]:
    """Describe what msgspec leaves open: values of any JSON type."""
    if kind is object:
        return {"description": "any JSON value"}  # not empty: msgspec would take that for no answer
    raise NotImplementedError


def _operation(row: Route, by_shape: dict[Any, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": row.operation,
        "summary": row.summary,
        "parameters": _parameters(row),
        "responses": _responses(row, by_shape),
    }
    if row.body is not None:
        operation["requestBody"] = {
            "required": row.body_type == JSON,  # no lines at all are an NDJSON body too
            "content": {row.body_type: {"schema": by_shape[row.body]}},
        }
    return operation


def _parameters(row: Route) -> list[dict[str, Any]]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": KEY_ID if name == "key_id" else ID}
        for name in re.findall(r"{(\w+)}", row.path)
    ]
    in_query = [
        {
            "name": each.name,
            "in": "query",
            "required": each.required,
            "description": each.meaning,
            "schema": each.schema,
        }
        for each in row.parameters
    ]
    names = ["X-Request-Id", *(("Stemedb-Min-Seq", "If-None-Match") if row.is_read else ())]
    return [*in_path, *in_query, *({"$ref": f"#/components/parameters/{name}"} for name in names)]


def _responses(row: Route, by_shape: dict[Any, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        str(status): {"$ref": f"#/components/responses/Refused{status}"}
        for status in (*_ANYWHERE, *row.refusals)
        if status not in row.replies
    }
    for status, shapes in row.replies.items():
        answer: dict[str, Any] = {"description": responses[status], "headers": _headers(row, status)}
        if status not in (HTTPStatus.NOT_MODIFIED, HTTPStatus.NO_CONTENT):
            schemas = [by_shape[shape] for shape in shapes] or [_TEXT]
            schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
            answer["content"] = {row.reply_type: {"schema": schema}}
        if status in _ANYWHERE:  # health while starting: the same status may carry either
            answer["content"][problem.MEDIA_TYPE] = {"schema": by_shape[problem.Problem]}
        found[str(status)] = answer
    return dict(sorted(found.items()))


def _headers(row: Route, status: int) -> dict[str, Any]:
    names = ["X-Request-Id"]
    if row.has_position:
        names.append("Stemedb-Seq")
    if row.is_read:
        names.append("ETag")
    if row.audited:
        names.append("Stemedb-Audit-Id")
    if status in _RETRIED:
        names.append("Retry-After")
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _refusal(status: int, schema: object) -> dict[str, Any]:
    names = ["X-Request-Id"]
    if status in _RETRIED:
        names.append("Retry-After")
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        names.append("Allow")
    return {
        "description": responses[status],
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
        "content": {problem.MEDIA_TYPE: {"schema": schema}},
    }
