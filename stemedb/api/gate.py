"""What every request passes before its route: where it comes from, whose key it has, whether it may.

Also the headers that every reply carries for browsers, and which web pages may use the API at all.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any, Final

from stemedb import limits
from stemedb.api.call import Call
from stemedb.api.permissions import rule_of
from stemedb.api.problem import SAFE_HEADERS
from stemedb.errors import Forbidden, QuotaExceeded
from stemedb.guard import ANYONE, Balance, Caller, Guards, Origin, Pace, Rule, client_name

if TYPE_CHECKING:
    from stemedb.api.routes import Route
    from stemedb.api.service import Service

Environ = dict[str, Any]
Headers = list[tuple[str, str]]

_EXPOSED: Final = (
    "ETag, Retry-After, Stemedb-Audit-Id, Stemedb-Seq, X-Request-Id, X-Quota-Limit, X-Quota-Remaining, "
    "X-Quota-Reset, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset"
)
_ASKED: Final = (
    "Authorization, Content-Type, If-None-Match, Stemedb-Min-Seq, X-API-Key, X-Agent-Id, X-PoW-Nonce, "
    "X-PoW-Timestamp, X-Request-Id"
)
_SAFE: Final = tuple(SAFE_HEADERS.items())
_PREFLIGHT_S: Final = 600
_READS: Final = ("GET", "HEAD", "OPTIONS")
_BEARER: Final = "bearer "


class Gate:
    """Stands before the routes of one service."""

    def __init__(self, service: Service) -> None:
        """Guard `service`; its engine, which knows the keys, may come later."""
        self._service = service
        self._guards: Guards = service.guards

    def locate(self, environ: Environ) -> None:
        """Note where a request comes from."""
        environ["stemedb.origin"] = self._guards.origin(
            environ.get("REMOTE_ADDR", ""),
            environ.get("HTTP_X_FORWARDED_FOR"),
            other_marks="HTTP_FORWARDED" in environ or "HTTP_X_REAL_IP" in environ,
        )

    def enter(self, route: Route, environ: Environ) -> None:
        """Let a request to its route, and note whose it is.

        Raises:
            Unauthorized, Forbidden, QuotaExceeded: it may not, or not now.
            Unavailable: keys cannot be looked up yet.
        """
        rule, origin = rule_of(route), environ["stemedb.origin"]
        self._refuse_foreign_page(environ)
        self._guards.require_internal(rule, origin)
        environ["stemedb.pace"] = rule.pace
        if rule.role is not None and route.path.startswith("/v1/"):
            self._service.engine  # noqa: B018  (a starting service answers 503 on every path of /v1)
        if self._guards.asks_for_key(rule):
            view = self._service.engine.view
            environ["stemedb.caller"] = self._guards.identify(_secret(environ), origin, view)
        caller = caller_of(environ)
        self._guards.pay(rule.pace, caller, origin)
        if rule.role is not None:
            caller.require(rule.role)
        self._charge(rule, environ)

    def _charge(self, rule: Rule, environ: Environ) -> None:
        """Take a request's tokens of its caller; raises `QuotaExceeded`."""
        if self._guards.meter is None or not rule.cost:
            return
        length = environ.get("CONTENT_LENGTH") or "0"
        cost = rule.cost + int(length) // limits.KIB
        if environ.get("QUERY_STRING") and "lens" in Call(environ, {}).parameters():
            cost += limits.METER_COST_LENS
        caller = caller_of(environ)
        environ["stemedb.cost"] = cost
        if len(caller.agent_ids) == 1:
            (environ["stemedb.agent"],) = caller.agent_ids
        name = client_name(caller, environ["stemedb.origin"])
        try:
            self._guards.meter.charge_caller(name, cost)
        except QuotaExceeded:
            environ["stemedb.cost"] = 0
            raise

    def refund(self, environ: Environ) -> None:
        """Give back what was taken for a request that the service itself could not answer."""
        if self._guards.meter and (cost := environ.pop("stemedb.cost", 0)):
            name = client_name(caller_of(environ), environ["stemedb.origin"])
            self._guards.meter.refund_caller(name, cost)

    def lost(self, environ: Environ) -> None:
        """Count a request for what is not there; raises `QuotaExceeded`."""
        environ["stemedb.pace"] = Pace.READ
        self._guards.pay(Pace.READ, ANYONE, environ["stemedb.origin"])

    def add_headers(self, environ: Environ, headers: Headers) -> None:
        """Add what every reply carries."""
        present = {name for name, _ in headers}
        if present.isdisjoint(SAFE_HEADERS):
            headers += _SAFE
        else:
            headers += [each for each in _SAFE if each[0] not in present]
        if origin := self._allowed_page(environ):
            headers += [
                ("Access-Control-Allow-Origin", origin),
                ("Access-Control-Expose-Headers", _EXPOSED),
                ("Vary", "Origin"),
            ]
        pace: Pace | None = environ.get("stemedb.pace")
        if pace is not None:
            left = self._guards.pace_left(pace, caller_of(environ), environ["stemedb.origin"])
            if left is not None:
                headers += [
                    ("RateLimit-Limit", str(int(left.capacity))),
                    ("RateLimit-Remaining", str(int(left.remaining))),
                    ("RateLimit-Reset", str(ceil(left.full_in_s))),
                ]

        if self._guards.meter and "stemedb.cost" in environ:
            quota = quota_left(self._service, environ)
            headers += [
                ("X-Quota-Limit", str(int(quota.capacity))),
                ("X-Quota-Remaining", str(int(quota.remaining))),
                ("X-Quota-Reset", str(ceil(quota.full_in_s))),
            ]

    def preflight(self, environ: Environ, methods: str) -> dict[str, str] | None:
        """Return the headers that let a web page go on with what it asks about; None if it may not."""
        if not self._allowed_page(environ) or "HTTP_ACCESS_CONTROL_REQUEST_METHOD" not in environ:
            return None
        return {
            "Access-Control-Allow-Methods": methods,
            "Access-Control-Allow-Headers": _ASKED,
            "Access-Control-Max-Age": str(_PREFLIGHT_S),
        }

    def _allowed_page(self, environ: Environ) -> str | None:
        origin: str | None = environ.get("HTTP_ORIGIN")
        return origin if origin in self._guards.settings.allowed_origins else None

    def _refuse_foreign_page(self, environ: Environ) -> None:
        """Refuse what the page of another site makes a browser write; such a page needs no reply to harm."""
        origin: str | None = environ.get("HTTP_ORIGIN")
        if origin is None or environ["REQUEST_METHOD"] in _READS or self._allowed_page(environ):
            return
        if origin.partition("://")[2] != environ.get("HTTP_HOST"):
            raise Forbidden(
                "a page of another origin may not write here",
                code="foreign_origin",
                hint="Name its origin in STEMEDB_ALLOWED_ORIGINS.",
            )


def quota_left(service: Service, environ: Environ) -> Balance:
    """Return the balance that a reply reports: of the agent that is proven, else of the caller."""
    meter = service.guards.meter
    assert meter is not None  # noqa: S101 - asked only where there is one
    agent_id: bytes | None = environ.get("stemedb.agent")
    if agent_id is None:
        return meter.caller_balance(client_name(caller_of(environ), environ["stemedb.origin"]))
    with service.engine.view.snapshot() as snapshot:
        quota = service.guards.house.quota(snapshot, agent_id)
    return meter.agent_balance(agent_id, quota)


def caller_of(environ: Environ) -> Caller:
    """Return who sent a request that was let in."""
    caller: Caller = environ.get("stemedb.caller", ANYONE)
    return caller


def origin_of(environ: Environ) -> Origin:
    """Return where a request comes from."""
    origin: Origin = environ["stemedb.origin"]
    return origin


def _secret(environ: Environ) -> str | None:
    """Return the key that a request came with."""
    given: str | None = environ.get("HTTP_X_API_KEY")
    if given is not None:
        return given
    authorization: str = environ.get("HTTP_AUTHORIZATION", "")
    if authorization[: len(_BEARER)].lower() != _BEARER:
        return None
    return authorization[len(_BEARER) :].strip()
