"""Reading: questions, with or without a lens, and quarrels."""

from __future__ import annotations

import time
from collections.abc import Callable

import bottle

from stemedb import limits
from stemedb.api.call import Call, content_hash, encode, tagged_body
from stemedb.api.inputs import CURSOR, ID, LIMIT, NO_CONTROL, POSITION, RFC_3339, WHEN
from stemedb.api.kept import KeptAnswer
from stemedb.api.routes import Parameter, Route
from stemedb.api.service import Service
from stemedb.engine.shapes import (
    ChangesReply,
    ConstraintsReply,
    LayeredReply,
    LensReply,
    QueryReply,
    SkepticReply,
)
from stemedb.errors import Invalid, QueryTimeout, Unavailable
from stemedb.query import (
    CHOICES,
    PARAMETERS,
    SKEPTIC_PARAMETERS,
    Answer,
    ask,
    ask_constraints,
    ask_layered,
    ask_skeptic,
    asked_by,
    audit_of,
    counts_of,
    is_of_now,
    parse_question,
)

_SEQ_DIGITS_MAX = 18


def wait_for_position(service: Service, call: Call) -> None:
    """Honour `Stemedb-Min-Seq`: wait until the view has reached it, so that a client reads its own writes.

    Raises:
        Invalid: it is no position.
        Unavailable: the view did not get there in time, or too many requests wait already.
    """
    wanted = call.header("Stemedb-Min-Seq")
    if wanted is None:
        return
    if not (wanted.isascii() and wanted.isdigit() and len(wanted) <= _SEQ_DIGITS_MAX):
        raise Invalid("Stemedb-Min-Seq must be a position in the log")
    engine, seq = service.engine, int(wanted)
    if engine.view.applied_seq >= seq:
        return
    if not service.waiting.acquire(blocking=False):
        raise Unavailable("too many requests wait for a position already", code="overloaded")
    try:
        with service.turns.waived:
            reached = engine.view.wait_for(seq, limits.MIN_SEQ_WAIT_S_MAX)
        if not reached:
            raise Unavailable(
                f"position {seq} was not reached within {limits.MIN_SEQ_WAIT_S_MAX:.0f} s; "
                f"the view is at {engine.view.applied_seq}",
                code="not_yet_visible",
            )
    finally:
        service.waiting.release()


def query(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/query."""
    return _answer(service, call, "query", PARAMETERS, ask)


def skeptic(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/skeptic."""
    return _answer(service, call, "skeptic", SKEPTIC_PARAMETERS, ask_skeptic)


def layered(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/layered."""
    return _answer(service, call, "layered", SKEPTIC_PARAMETERS, ask_layered)


def constraints(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/constraints."""
    return _answer(service, call, "constraints", SKEPTIC_PARAMETERS, ask_constraints)


def _answer(
    service: Service,
    call: Call,
    endpoint: str,
    allowed: frozenset[str],
    answer: Callable[..., Answer[object]],
) -> bottle.HTTPResponse:
    question = None
    if "HTTP_STEMEDB_MIN_SEQ" in call.environ:
        question = parse_question(call.parameters(), allowed=allowed)
        wait_for_position(service, call)
    engine, began = service.engine, time.perf_counter()
    key = (endpoint, call.environ.get("QUERY_STRING", ""))
    kept = service.answers.find(key)
    seq = None if kept is None else engine.view.unchanged(kept.question.subject, kept.seq)
    service.telemetry.note_kept(hit=seq is not None)
    if kept is None or seq is None:
        question = question or parse_question(call.parameters(), allowed=allowed)
        clock_s = service.answers.clock_s() if is_of_now(question) else int(time.time())
        try:
            found = answer(engine.view, question, clock_s)
        except QueryTimeout:
            service.telemetry.query_timeouts.inc()
            service.slow.look_at(call, endpoint, question, None, time.perf_counter() - began)
            raise
        seq, body = found.seq, encode(found.reply)
        body_hash = content_hash(body)
        audit = audit_of(endpoint, call.parameters(), found, body_hash)
        audit_id = engine.local.put(asked_by(call.label(), audit, seq))
        kept = KeptAnswer(question, seq, body, body_hash, audit, counts_of(found), audit_id or b"")
        service.answers.keep(key, kept, found.reply)
    else:
        audit_id = engine.local.put(asked_by(call.label(), kept.audit, seq, kept.audit_id))
    response = tagged_body(call, kept.body, kept.body_hash, seq=seq, audit_id=audit_id)
    duration_s = time.perf_counter() - began
    service.telemetry.note_question(endpoint, kept.question.lens or "none", duration_s)
    service.slow.look_at(call, endpoint, kept.question, kept.counts, duration_s)
    return response


def _name_of(bytes_max: int) -> dict[str, object]:
    return {
        "type": "string",
        "minLength": 1,
        "maxLength": bytes_max,
        "pattern": NO_CONTROL,
        "description": f"at most {bytes_max} bytes of UTF-8",
    }


def _one_of(parameter: str) -> dict[str, object]:
    return {"type": "string", "enum": list(CHOICES[parameter])}


_DESCRIBED = (
    Parameter("subject", _name_of(limits.SUBJECT_BYTES_MAX), "what the claims are about", required=True),
    Parameter("predicate", _name_of(limits.PREDICATE_BYTES_MAX), "which property; `*` or none means any"),
    Parameter(
        "lens", _one_of("lens"), "how to resolve contradicting claims; without it every claim, newest first"
    ),
    Parameter(
        "lifecycle",
        _one_of("lifecycle"),
        "only claims in this stage; default: all but deprecated and rejected",
    ),
    Parameter("epoch", ID, "only claims of this epoch"),
    Parameter(
        "source_class", {"type": "array", "items": _one_of("source_class")}, "only claims of these classes"
    ),
    Parameter("agent_id", ID, "only claims signed by this agent"),
    Parameter(
        "min_confidence", {"type": "number", "minimum": 0, "maximum": 1}, "only claims at least this sure"
    ),
    *WHEN,
    Parameter(
        "since",
        {"anyOf": [POSITION, RFC_3339]},
        "what changed after a position or time, instead of the claims",
    ),
    Parameter("decay", {"type": "boolean", "default": True}, "whether confidence fades with age"),
    Parameter(
        "aliases", {"type": "boolean", "default": False}, "whether other names of the subject count too"
    ),
    Parameter(
        "visual_near", {"type": "string", "pattern": "^[0-9a-f]{16}$"}, "only claims with a similar image"
    ),
    Parameter(
        "visual_threshold",
        {
            "type": "integer",
            "minimum": 0,
            "maximum": limits.VISUAL_BITS,
            "default": limits.VISUAL_THRESHOLD_DEFAULT,
        },
        "bits in which a similar image may differ",
    ),
    Parameter(
        "vector_near",
        {
            "anyOf": [
                ID,
                {
                    "type": "string",
                    "pattern": r"^-?[0-9]{1,9}(\.[0-9]{1,9})?(,-?[0-9]{1,9}(\.[0-9]{1,9})?)*$",
                },
            ]
        },
        "the claims whose embedding is nearest to this one: numbers with commas, or a claim that has it",
    ),
    Parameter(
        "k",
        {
            "type": "integer",
            "minimum": 1,
            "maximum": limits.PAGE_ITEMS_MAX,
            "default": limits.NEAREST_DEFAULT,
        },
        "how many of the nearest",
    ),
    LIMIT,
    CURSOR,
)


def _described(allowed: frozenset[str], *, required: frozenset[str]) -> tuple[Parameter, ...]:
    return tuple(each._replace(required=each.name in required) for each in _DESCRIBED if each.name in allowed)


ROUTES = (
    Route(
        "GET",
        "/v1/query",
        query,
        "Ask about a subject: a page of claims, or a lens's resolution.",
        {200: (QueryReply, LensReply, ConstraintsReply, ChangesReply), 304: ()},
        parameters=_described(PARAMETERS, required=frozenset({"subject"})),
        refusals=(404, 410, 422, 504),
        audited=True,
    ),
    Route(
        "GET",
        "/v1/skeptic",
        skeptic,
        "Show the quarrel itself: every value with its share of the weight.",
        {200: (SkepticReply,), 304: ()},
        parameters=_described(SKEPTIC_PARAMETERS, required=frozenset({"subject", "predicate"})),
        refusals=(422, 504),
        audited=True,
    ),
    Route(
        "GET",
        "/v1/layered",
        layered,
        "Show each tier's winner, and how much the tiers disagree.",
        {200: (LayeredReply,), 304: ()},
        parameters=_described(SKEPTIC_PARAMETERS, required=frozenset({"subject", "predicate"})),
        refusals=(422, 504),
        audited=True,
    ),
    Route(
        "GET",
        "/v1/constraints",
        constraints,
        "Show the rules of a subject: what must be used and what is forbidden.",
        {200: (ConstraintsReply,), 304: ()},
        parameters=tuple(
            each._replace(schema=_one_of("rule"), meaning="which rules; `*` or none means both")
            if each.name == "predicate"
            else each
            for each in _described(SKEPTIC_PARAMETERS, required=frozenset({"subject"}))
        ),
        refusals=(422, 504),
        audited=True,
    ),
)
