"""One request and its reply on the way through the application: what is sent, counted and logged."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from stemedb.api import problem
from stemedb.api.call import Call
from stemedb.api.gate import Gate, caller_of, origin_of

if TYPE_CHECKING:
    import bottle
    import structlog
    from prometheus_client import Counter

    from stemedb.api.routes import Route
    from stemedb.telemetry import Telemetry

Environ = dict[str, Any]
StartResponse = Callable[..., Any]

_UNROUTED: Final = "none"  # the endpoint of requests that no route takes, in metrics: paths are the client's
_WELL: Final = 400  # statuses below it
_BODILESS: Final = frozenset({204, 304})


class Notes:
    """Where requests are counted and logged."""

    def __init__(self, telemetry: Telemetry, log: structlog.typing.FilteringBoundLogger) -> None:
        """Count in `telemetry`, write to `log`."""
        self._telemetry = telemetry
        self._log = log
        self._counters: dict[tuple[str, str, int], Counter] = {}

    def note(self, exchange: Exchange) -> None:
        """Count and log an answered request."""
        environ, status = exchange.environ, exchange.status
        route: Route | None = environ.get("stemedb.route")
        endpoint = route.path if route else _UNROUTED
        method = environ["REQUEST_METHOD"]
        self._counter(endpoint, method if route else _UNROUTED, status).inc()
        level = logging.DEBUG if route and route.quiet and status < _WELL else logging.INFO
        if not self._log.is_enabled_for(level):
            return
        code: str | None = environ.get("stemedb.refused")
        key_id = caller_of(environ).key_id
        self._log.log(
            level,
            "request",
            request_id=exchange.request_id,
            client=origin_of(environ).address,
            method=method,
            path=environ.get("bottle.raw_path", environ["PATH_INFO"]),
            endpoint=endpoint,
            status=status,
            bytes=exchange.bytes,
            duration_ms=exchange.duration_ms,
            **_who(environ),
            **({"key": key_id.hex()} if key_id else {}),
            **({"code": code} if code else {}),
        )

    def _counter(self, endpoint: str, method: str, status: int) -> Counter:
        """Return the metric's child; kept, because finding it costs more than counting."""
        key = (endpoint, method, status)
        child = self._counters.get(key)
        if child is None:
            child = self._telemetry.http_requests.labels(endpoint, method, str(status))
            self._counters[key] = child
        return child


class Exchange:
    """A request, and what is sent in answer to it."""

    __slots__ = ("_began", "_gate", "_notes", "_start", "bytes", "environ", "request_id", "status")

    def __init__(self, environ: Environ, start_response: StartResponse, gate: Gate, notes: Notes) -> None:
        """Begin with a request; `start_response` (WSGI) begins its reply."""
        self._began = time.perf_counter()
        self._gate = gate
        self._notes = notes
        self._start = start_response
        self.environ = environ
        self.request_id = problem.request_id(environ.get("HTTP_X_REQUEST_ID"))
        self.status = 500
        self.bytes = 0
        environ["stemedb.request_id"] = self.request_id
        gate.locate(environ)

    @property
    def duration_ms(self) -> float:
        """How long it has taken so far."""
        return round((time.perf_counter() - self._began) * 1000, 3)

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: object = None) -> object:
        """Begin the reply (WSGI), with what every reply carries."""
        self.status = int(status[:3])
        headers.append(("X-Request-Id", self.request_id))
        self._gate.add_headers(self.environ, headers)
        return self._start(status, headers, exc_info)

    def send(self, response: bottle.HTTPResponse) -> list[bytes]:
        """Begin a reply whose body is here (bytes), note it, and return the body (WSGI)."""
        body: bytes = response.body
        headers: list[tuple[str, str]] = response.headerlist
        if response.status_code in _BODILESS:
            body = b""
        else:
            headers.append(("Content-Length", str(len(body))))
        self.bytes = len(body)
        self.start(response.status_line, headers)
        self._notes.note(self)
        return [body]

    def pass_on(self, body: Iterable[bytes]) -> Iterable[bytes]:
        """Return the body of a reply that was begun, and have it noted when all of it was sent."""
        if isinstance(body, list):
            self.bytes = sum(map(len, body))
            self._notes.note(self)
            return body
        return self._streamed(body)

    def _streamed(self, body: Iterable[bytes]) -> Iterator[bytes]:
        try:
            for block in body:
                self.bytes += len(block)
                yield block
        finally:
            self._notes.note(self)


def _who(environ: Environ) -> dict[str, str]:
    """Return the agent that a request proved, and what its client calls itself; only what there is."""
    agent_id: bytes | None = environ.get("stemedb.agent")
    found = {"agent": agent_id.hex() if agent_id else "", "label": Call(environ, {}).label()}
    return {name: text for name, text in found.items() if text}
