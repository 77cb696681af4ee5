"""What operators ask about the storage and about questions that took long."""

from __future__ import annotations

from typing import Final

import bottle

from stemedb.api.call import Call, reply
from stemedb.api.inputs import LIMIT, listing, single, whole_number
from stemedb.api.routes import Parameter, Route
from stemedb.api.service import Service
from stemedb.engine.shapes import SlowQueriesReply, StorageReply

_NUMBER_MAX: Final = 10**15
_NUMBER: Final[dict[str, object]] = {"type": "integer", "minimum": 1, "maximum": _NUMBER_MAX}


def storage_stats(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/admin/storage/stats."""
    call.no_parameters()
    return reply(service.engine.storage_stats())


def slow_queries(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/admin/slow-queries."""
    found = single(call, "limit", "cursor")
    before = whole_number(found, "cursor", 0, 1, _NUMBER_MAX) or None
    found.pop("cursor", None)
    return reply(service.slow.page(listing(found).limit, before))


ROUTES = (
    Route(
        "GET",
        "/v1/admin/storage/stats",
        storage_stats,
        "What log and view hold and take, and what their disks have left.",
        {200: (StorageReply,)},
    ),
    Route(
        "GET",
        "/v1/admin/slow-queries",
        slow_queries,
        "The last questions that took long, the newest first, each with its plan and counts.",
        {200: (SlowQueriesReply,)},
        parameters=(LIMIT, Parameter("cursor", _NUMBER, "`next_cursor` of the page before")),
    ),
)
