"""The application: a plain WSGI callable that routes, counts, logs, and turns every error into a problem."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar

import bottle
import msgspec

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
    quarantine,
    quotas,
    reading,
    statements,
    storage,
    viewer,
)
from stemedb.api.call import JSON, Call, refusal
from stemedb.api.exchange import Environ, Exchange, Notes, StartResponse
from stemedb.api.gate import Gate
from stemedb.api.head import BULK_PATH
from stemedb.api.later import Later, LaterBody
from stemedb.api.routes import Route
from stemedb.api.service import Service
from stemedb.errors import Corrupt, Invalid, MethodNotAllowed, NotFound, StemedbError

_Found = TypeVar("_Found")

DESCRIPTION_PATHS: Final = {"/openapi.json": "description", "/api-doc/openapi.json": "api_doc"}


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


class Application:
    """Serves the routes on one service's state."""

    def __init__(self, service: Service) -> None:
        """Build the routes; nothing is shared with another instance."""
        self._service = service
        self._gate = Gate(service)
        self._notes = Notes(service.telemetry, service.log)
        self._bottle = bottle.Bottle()
        self._bottle.config["catchall"] = False
        self._bottle.default_error_handler = self._routing_error
        self._direct: dict[tuple[str, str], Route] = {}
        for route in all_routes():
            self._bottle.route(route.rule, route.method, self._handle(route), name=route.path)
            if "{" not in route.path and route.path != BULK_PATH:
                self._direct[route.method, route.path] = route

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (WSGI)."""
        self._service.last_request_s = time.monotonic()
        exchange = Exchange(environ, start_response, self._gate, self._notes)
        # Most requests name a path without variable parts: one look finds its route. Whatever is not found
        # so, other spellings included, is bottle's.
        route = self._direct.get((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
        if route is None:
            return exchange.pass_on(self._bottle.wsgi(environ, exchange.start))
        found = self._answer(route, environ, {})
        if not isinstance(found, Later):
            return exchange.send(found)
        answer = found.answer
        return LaterBody(found, self._service.turns, lambda: exchange.send(self._guarded(environ, answer)))

    def _handle(self, route: Route) -> Callable[..., bottle.HTTPResponse]:
        def handle(**arguments: str) -> bottle.HTTPResponse:
            environ = bottle.request.environ
            found = self._answer(route, environ, arguments)
            if isinstance(found, Later):
                found.wait(self._service.turns)
                found = self._guarded(environ, found.answer)
            return found

        return handle

    def _answer(
        self, route: Route, environ: Environ, arguments: Mapping[str, str]
    ) -> bottle.HTTPResponse | Later:
        environ["stemedb.route"] = route

        def answer() -> bottle.HTTPResponse | Later:
            self._gate.enter(route, environ)
            return route.handler(self._service, Call(environ, arguments))

        return self._guarded(environ, answer)

    def _guarded(self, environ: Environ, answer: Callable[[], _Found]) -> _Found | bottle.HTTPResponse:
        """Make an answer; whatever is raised becomes a refusal."""
        try:
            return answer()
        except StemedbError as error:
            return self._refuse(error, environ)
        except Exception as error:  # noqa: BLE001  (nothing but problems leaves this service)
            return self._unexpected(error, environ)

    def _refuse(self, error: StemedbError, environ: Environ) -> bottle.HTTPResponse:
        if isinstance(error, Corrupt):
            self._service.note_corrupt(error)
        self._service.telemetry.rejected.labels(error.reason).inc()
        # Not the error: it knows the frames it came through, which know the request, and none would ever go.
        environ["stemedb.refused"] = error.reason
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
