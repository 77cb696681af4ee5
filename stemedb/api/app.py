"""The application: a plain WSGI callable that routes, counts, logs, and turns every error into a problem."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import bottle
import msgspec
from prometheus_client import Counter

from stemedb.api import (
    admin,
    audits,
    bulk,
    claims,
    feed,
    guarding,
    history,
    keys,
    lists,
    openapi,
    operations,
    problem,
    quarantine,
    quotas,
    reading,
    statements,
    storage,
    viewer,
)
from stemedb.api.call import JSON, Call, refusal
from stemedb.api.gate import Gate, caller_of, origin_of
from stemedb.api.routes import Route
from stemedb.api.service import Service
from stemedb.errors import Corrupt, Invalid, MethodNotAllowed, NotFound, StemedbError

Environ = dict[str, Any]
StartResponse = Callable[..., Any]

DESCRIPTION_PATHS: Final = {"/openapi.json": "description", "/api-doc/openapi.json": "api_doc"}
_UNROUTED: Final = "none"  # the endpoint of requests that no route takes, in metrics: paths are the client's


def all_routes() -> tuple[Route, ...]:
    """Return every route of the service, the description's own included."""
    described = [
        *claims.ROUTES,
        *bulk.ROUTES,
        *statements.ROUTES,
        *reading.ROUTES,
        *lists.ROUTES,
        *feed.ROUTES,
        *history.ROUTES,
        *operations.ROUTES,
        *audits.ROUTES,
        *admin.ROUTES,
        *keys.ROUTES,
        *quotas.ROUTES,
        *quarantine.ROUTES,
        *guarding.ROUTES,
        *storage.ROUTES,
        *viewer.ROUTES,
    ]
    document: list[bytes] = []

    def description(_service: Service, call: Call) -> bottle.HTTPResponse:
        call.no_parameters()
        return bottle.HTTPResponse(document[0], 200, {"Content-Type": JSON})

    own = [
        Route("GET", path, description, "This description.", {200: (dict,)}, quiet=True, name=name)
        for path, name in DESCRIPTION_PATHS.items()
    ]
    routes = (*described, *own)
    document.append(msgspec.json.encode(openapi.describe(routes)))
    return routes


def _who(environ: Environ) -> dict[str, str]:
    """Return the agent that a request proved, and what its client calls itself; only what there is."""
    agent_id: bytes | None = environ.get("stemedb.agent")
    found = {"agent": agent_id.hex() if agent_id else "", "label": Call(environ, {}).label()}
    return {name: text for name, text in found.items() if text}


class Application:
    """Serves the routes on one service's state."""

    def __init__(self, service: Service) -> None:
        """Build the routes; nothing is shared with another instance."""
        self._service = service
        self._gate = Gate(service)
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self._bottle = bottle.Bottle(catchall=False)
        self._bottle.default_error_handler = self._routing_error
        for route in all_routes():
            self._bottle.route(route.rule, route.method, self._handle(route), name=route.path)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (WSGI)."""
        began = time.perf_counter()
        request_id = problem.request_id(environ.get("HTTP_X_REQUEST_ID"))
        environ["stemedb.request_id"] = request_id
        self._gate.locate(environ)
        sent: dict[str, Any] = {"status": 500, "bytes": 0}

        def start(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> object:
            sent["status"] = int(status[:3])
            for name, value in headers:
                if name == "Content-Length":
                    sent["bytes"] = int(value)
            headers.append(("X-Request-Id", request_id))
            self._gate.add_headers(environ, headers)
            return start_response(status, headers, exc_info)

        body = self._bottle.wsgi(environ, start)
        if isinstance(body, list):
            self._note(environ, sent, began)
            return body
        return self._streamed(body, environ, sent, began)

    def _streamed(
        self, body: Iterable[bytes], environ: Environ, sent: dict[str, Any], began: float
    ) -> Iterator[bytes]:
        try:
            for block in body:
                sent["bytes"] += len(block)
                yield block
        finally:
            self._note(environ, sent, began)

    def _handle(self, route: Route) -> Callable[..., bottle.HTTPResponse]:
        service, handler = self._service, route.handler

        def answer(**arguments: str) -> bottle.HTTPResponse:
            environ = bottle.request.environ
            environ["stemedb.route"] = route
            try:
                self._gate.enter(route, environ)
                return handler(service, Call(environ, arguments))
            except StemedbError as error:
                return self._refuse(error, environ)
            except Exception as error:  # noqa: BLE001  (nothing but problems leaves this service)
                return self._unexpected(error, environ)

        return answer

    def _refuse(self, error: StemedbError, environ: Environ) -> bottle.HTTPResponse:
        if isinstance(error, Corrupt):
            self._service.note_corrupt(error)
        self._service.telemetry.rejected.labels(error.reason).inc()
        environ["stemedb.refused"] = error
        if error.status >= StemedbError.status:
            self._gate.refund(environ)
        return refusal(error, environ["stemedb.request_id"])

    def _unexpected(self, error: Exception, environ: Environ) -> bottle.HTTPResponse:
        request_id = environ["stemedb.request_id"]
        self._service.log.error("unexpected", request_id=request_id, error=repr(error), exc_info=error)
        return self._refuse(StemedbError("the server failed while it answered"), environ)

    def _routing_error(self, raised: bottle.HTTPError) -> bottle.HTTPResponse:
        """Answer what bottle's router refuses: unknown paths and methods."""
        environ = bottle.request.environ
        path = environ.get("bottle.raw_path", "")
        allowed = raised.get_header("Allow")
        if environ["REQUEST_METHOD"] == "OPTIONS" and allowed:
            granted = self._gate.preflight(environ, allowed)
            if granted is not None:
                return bottle.HTTPResponse("", 204, granted)
        try:
            self._gate.lost(environ)
        except StemedbError as error:
            return self._refuse(error, environ)
        return self._lost(raised, environ, path)

    def _lost(self, raised: bottle.HTTPError, environ: Environ, path: str) -> bottle.HTTPResponse:
        error: StemedbError = Invalid(str(raised.body))
        if raised.status_code == NotFound.status:
            error = NotFound(f"there is nothing at {path}")
        elif raised.status_code == MethodNotAllowed.status:
            error = MethodNotAllowed(f"{environ['REQUEST_METHOD']} is not a method of {path}")
        response = self._refuse(error, environ)
        if allowed := raised.get_header("Allow"):
            response.set_header("Allow", allowed)
        return response

    def _counter(self, endpoint: str, method: str, status: int) -> Counter:
        """Return the metric's child; kept, because finding it costs more than counting."""
        key = (endpoint, method, status)
        child = self._counters.get(key)
        if child is None:
            child = self._service.telemetry.http_requests.labels(endpoint, method, str(status))
            self._counters[key] = child
        return child

    def _note(self, environ: Environ, sent: dict[str, Any], began: float) -> None:
        """Count and log an answered request."""
        route: Route | None = environ.get("stemedb.route")
        error: StemedbError | None = environ.get("stemedb.refused")
        endpoint = route.path if route else _UNROUTED
        method = environ["REQUEST_METHOD"] if route else _UNROUTED
        status: int = sent["status"]
        self._counter(endpoint, method, status).inc()
        log = self._service.log
        write = log.debug if route and route.quiet and status < 400 else log.info  # noqa: PLR2004
        write(
            "request",
            request_id=environ["stemedb.request_id"],
            client=origin_of(environ).address,
            method=environ["REQUEST_METHOD"],
            path=environ.get("bottle.raw_path", ""),
            endpoint=endpoint,
            status=status,
            bytes=sent["bytes"],
            duration_ms=round((time.perf_counter() - began) * 1000, 3),
            **_who(environ),
            **({"key": key_id.hex()} if (key_id := caller_of(environ).key_id) else {}),
            **({"code": error.reason} if error else {}),
        )
