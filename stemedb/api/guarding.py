"""What the guards tell: quotas, the work that is asked for, and breakers with their switches."""

from __future__ import annotations

from math import ceil

import bottle

from stemedb import limits
from stemedb.api.call import Call, reply
from stemedb.api.gate import quota_left
from stemedb.api.inputs import ID, LIMIT, fault, identifier, listing, single
from stemedb.api.routes import Parameter, Route
from stemedb.api.service import Service
from stemedb.engine.shapes import AdmissionReply, BalanceOut, BreakerOut, BreakersReply, QuotaReply
from stemedb.guard import Balance, BreakerState, client_name, standings
from stemedb.guard.admission import standing_of

_ID_BYTES = 32
_AGENT = Parameter("agent_id", ID, "the agent; default the one that the key is bound to")
_CURSOR = Parameter("cursor", ID, "`next_cursor` of the page before")


def _agent_id(call: Call, found: dict[str, str]) -> bytes | None:
    """Return the agent that is asked about: named, or the only one of the key; raises `Invalid`."""
    given = found.get("agent_id")
    if given is None:
        return next(iter(call.caller.agent_ids)) if len(call.caller.agent_ids) == 1 else None
    return _hex_id("agent_id", given)


def _hex_id(name: str, given: str) -> bytes:
    if len(given) != 2 * _ID_BYTES or set(given) - set("0123456789abcdef"):
        raise fault(f"/{name}", f"must be {2 * _ID_BYTES} lower-case hex digits")
    return bytes.fromhex(given)


def _shown(balance: Balance) -> BalanceOut:
    return BalanceOut(int(balance.capacity), int(balance.remaining), ceil(balance.full_in_s))


def quota(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/meter/quota."""
    agent_id = _agent_id(call, single(call, "agent_id"))
    meter, shown_id = service.guards.meter, agent_id.hex() if agent_id else None
    if meter is None:
        return reply(QuotaReply(enabled=False, caller=None, agent_id=shown_id, agent=None))
    name = client_name(call.caller, call.environ["stemedb.origin"])
    environ = {**call.environ, "stemedb.agent": agent_id}
    shown = QuotaReply(
        enabled=True,
        caller=_shown(meter.caller_balance(name)),
        agent_id=shown_id,
        agent=_shown(quota_left(service, environ)) if agent_id else None,
    )
    if agent_id:
        call.environ["stemedb.agent"] = agent_id
    call.environ["stemedb.cost"] = 0  # the reply carries the balance as headers too
    return reply(shown)


def admission(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/admission/status."""
    found_id = single(call, "agent_id").get("agent_id")
    if found_id is None:
        raise fault("/agent_id", "is required: whose claim it is about")
    agent_id = _hex_id("agent_id", found_id)
    house = service.guards.house
    with service.engine.view.snapshot() as snapshot:
        found = standings(snapshot, agent_id)
        share, bits = house.share(snapshot, agent_id), house.bits(snapshot, agent_id)
    return reply(
        AdmissionReply(
            enabled=house.proofs is not None,
            agent_id=agent_id.hex(),
            standing=standing_of(found.trust).name.capitalize(),
            trust=found.trust.fraction,
            claims_count=found.claims_count,
            quota_share=share,
            difficulty_bits=bits,
            max_age_s=limits.PROOF_AGE_S_MAX,
        )
    )


def circuit_breakers(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/admin/circuit_breakers."""
    found = single(call, "limit", "cursor")
    after = _hex_id("cursor", found.pop("cursor")) if "cursor" in found else b""
    limit = listing(found).limit
    states = [each for each in service.guards.house.breakers.states() if each[0] > after]
    page = [BreakerOut(agent_id.hex(), state.value) for agent_id, state in states[:limit]]
    return reply(BreakersReply(page, page[-1].agent_id if len(states) > limit else None))


def open_breaker(service: Service, call: Call) -> bottle.HTTPResponse:
    """POST /v1/admin/circuit_breakers/{id}/open."""
    return _switch(service, call, BreakerState.OPEN)


def reset_breaker(service: Service, call: Call) -> bottle.HTTPResponse:
    """POST /v1/admin/circuit_breakers/{id}/reset."""
    return _switch(service, call, BreakerState.CLOSED)


def _switch(service: Service, call: Call, wanted: BreakerState) -> bottle.HTTPResponse:
    call.no_parameters()
    agent_id = identifier(call, "id")
    breakers = service.guards.house.breakers
    (breakers.open if wanted is BreakerState.OPEN else breakers.reset)(agent_id)
    key_id = call.caller.key_id
    service.log.info(
        "breaker switched", agent=agent_id.hex(), to=wanted.value, by=key_id.hex() if key_id else ""
    )
    return reply(BreakerOut(agent_id.hex(), breakers.state(agent_id).value))


ROUTES = (
    Route(
        "GET",
        "/v1/meter/quota",
        quota,
        "What the meter leaves to the caller and to an agent.",
        {200: (QuotaReply,)},
        parameters=(_AGENT,),
    ),
    Route(
        "GET",
        "/v1/admission/status",
        admission,
        "What an agent's next claim needs: how much work, and its part of the quota.",
        {200: (AdmissionReply,)},
        parameters=(_AGENT._replace(required=True, meaning="whose claim it is about"),),
    ),
    Route(
        "GET",
        "/v1/admin/circuit_breakers",
        circuit_breakers,
        "Agents with claims that were refused lately, and whether they are shut out.",
        {200: (BreakersReply,)},
        parameters=(LIMIT, _CURSOR),
    ),
    Route(
        "POST",
        "/v1/admin/circuit_breakers/{id}/open",
        open_breaker,
        "Shut an agent out for a while.",
        {200: (BreakerOut,)},
    ),
    Route(
        "POST",
        "/v1/admin/circuit_breakers/{id}/reset",
        reset_breaker,
        "Let an agent in again.",
        {200: (BreakerOut,)},
    ),
)
