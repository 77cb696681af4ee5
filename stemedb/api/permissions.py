"""Which rule stands before which path: one table, so that it can be read as a whole.

A path without a row is for administrators only, and fails a test.
"""

from __future__ import annotations

from typing import Final

from stemedb.api.head import BULK_PATH
from stemedb.api.routes import Route
from stemedb.guard import Rule
from stemedb.guard.rules import (
    ADMIN,
    BULK,
    LOOK,
    METRICS,
    PREPARE,
    PUBLIC,
    READ,
    RESOLVE,
    SETTLE,
    VOTE,
    WRITE,
)

RULES: Final[dict[str, Rule]] = {
    "GET /v1/health": PUBLIC,
    "GET /livez": PUBLIC,
    "GET /readyz": PUBLIC,
    "GET /metrics": METRICS,
    "GET /openapi.json": LOOK,
    "GET /api-doc/openapi.json": LOOK,
    "GET /docs": LOOK,
    "GET /v1/query": READ,
    "GET /v1/skeptic": RESOLVE,
    "GET /v1/layered": RESOLVE,
    "GET /v1/constraints": READ,
    "GET /v1/assertion/{hash}": READ,
    "GET /v1/trace/{hash}": READ,
    "GET /v1/feed": READ,
    "GET /v1/source": READ,
    "GET /v1/source/{hash}": READ,
    "GET /v1/source/{hash}/impact": READ,
    "GET /v1/epoch": READ,
    "GET /v1/epoch/{id}": READ,
    "GET /v1/alias": READ,
    "GET /v1/alias/{id}": READ,
    "GET /v1/gold-standard": READ,
    "GET /v1/gold-standard/{id}": READ,
    "GET /v1/agent/{id}": READ,
    "GET /v1/concepts": READ,
    "GET /v1/escalations": READ,
    "GET /v1/audit/queries": READ,
    "GET /v1/audit/query/{id}": READ,
    "GET /v1/log/head": LOOK,
    "GET /v1/log/proof": LOOK,
    "POST /v1/assert": WRITE,
    "POST /v1/assert/prepare": PREPARE,
    f"POST {BULK_PATH}": BULK,
    "POST /v1/supersede": WRITE,
    "POST /v1/vote": VOTE,
    "POST /v1/epoch": WRITE,
    "POST /v1/source": WRITE,
    "PATCH /v1/source/{hash}": WRITE,
    "POST /v1/alias": WRITE,
    "POST /v1/gold-standard": SETTLE,
    "GET /v1/meter/quota": LOOK,
    "GET /v1/admission/status": LOOK,
    "POST /v1/admin/erase": ADMIN,
    "GET /v1/admin/backup": ADMIN,
    "POST /v1/admin/keys": ADMIN,
    "GET /v1/admin/keys": ADMIN,
    "DELETE /v1/admin/keys/{key_id}": ADMIN,
    "POST /v1/admin/quotas": ADMIN,
    "GET /v1/admin/quotas": ADMIN,
    "DELETE /v1/admin/quotas/{id}": ADMIN,
    "GET /v1/admin/quarantine": ADMIN,
    "POST /v1/admin/quarantine/{hash}/approve": ADMIN,
    "POST /v1/admin/quarantine/{hash}/reject": ADMIN,
    "GET /v1/admin/circuit_breakers": ADMIN,
    "GET /v1/admin/storage/stats": ADMIN,
    "GET /v1/admin/slow-queries": ADMIN,
    "POST /v1/admin/circuit_breakers/{id}/open": ADMIN,
    "POST /v1/admin/circuit_breakers/{id}/reset": ADMIN,
}


def rule_of(route: Route) -> Rule:
    """Return the rule before a route."""
    return RULES.get(f"{route.method} {route.path}", ADMIN)
