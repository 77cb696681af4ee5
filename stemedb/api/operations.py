"""What operators and their machines ask: health, readiness, metrics, and the API's own description."""

from __future__ import annotations

from typing import Final

import bottle
import msgspec

from stemedb import __version__, limits, telemetry
from stemedb.api.call import Call, reply
from stemedb.api.routes import Route
from stemedb.api.service import Service, State
from stemedb.engine.shapes import HealthReply

EXPOSED: Final = "warning: no keys are asked for on a public address; set STEMEDB_AUTH_ENABLED=true"


class HealthBrief(msgspec.Struct, frozen=True):
    """GET /v1/health as those outside see it through a proxy."""

    status: str
    version: str


class LiveReply(msgspec.Struct, frozen=True):
    """GET /livez."""

    status: str


class ReadyReply(msgspec.Struct, frozen=True):
    """GET /readyz: `failed` names the checks that fail; not each of them means that it is not ready."""

    status: str
    failed: dict[str, str]


def health(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/health."""
    call.no_parameters()
    engine = service.opened
    checks = engine.checks() if engine else {"state": f"starting: {service.progress}"}
    status = service.state.value
    if service.state is State.SERVING:
        status = "healthy" if all(found == "ok" for found in checks.values()) else "degraded"
    if service.guards.settings.exposed:
        checks["auth"] = EXPOSED  # a warning, not a failure: the service does what it was told to
    passed = service.state is State.SERVING
    if not service.guards.is_inside(call.origin):
        return _probe(HealthBrief(status, __version__), passed=passed)
    content = HealthReply(
        status=status,
        version=__version__,
        assertions_count=engine.view.claims_count if engine else 0,
        seq=engine.view.applied_seq if engine else 0,
        uptime_seconds=round(service.uptime_s, 3),
        checks=checks,
    )
    return _probe(content, passed=passed)


def live(_service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /livez."""
    call.no_parameters()
    return _probe(LiveReply("alive"), passed=True)


def ready(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /readyz."""
    call.no_parameters()
    passed = service.ready
    failed = service.failed_checks() if service.guards.is_inside(call.origin) else {}
    return _probe(ReadyReply("ready" if passed else "not ready", failed), passed=passed)


def _probe(content: object, *, passed: bool) -> bottle.HTTPResponse:
    response = reply(content, 200 if passed else 503)
    response.set_header("Cache-Control", "no-store")
    if not passed:
        response.set_header("Retry-After", str(limits.RETRY_AFTER_S))
    return response


def metrics(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /metrics."""
    call.no_parameters()
    return bottle.HTTPResponse(service.telemetry.exposition(), 200, {"Content-Type": telemetry.CONTENT_TYPE})


ROUTES = (
    Route(
        "GET",
        "/v1/health",
        health,
        "Health with its checks and figures; outside, through a proxy, status and version only.",
        {200: (HealthReply, HealthBrief), 503: (HealthReply, HealthBrief)},
        quiet=True,
    ),
    Route("GET", "/livez", live, "Whether the process answers.", {200: (LiveReply,)}, quiet=True),
    Route(
        "GET",
        "/readyz",
        ready,
        "Whether reads and writes work.",
        {200: (ReadyReply,), 503: (ReadyReply,)},
        quiet=True,
    ),
    Route(
        "GET",
        "/metrics",
        metrics,
        "Metrics in Prometheus' text format.",
        {200: ()},
        reply_type=telemetry.CONTENT_TYPE,
        quiet=True,
    ),
)
