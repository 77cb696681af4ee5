"""Writing what is said beside plain claims: votes, epochs, sources, corrections, aliases, gold standards."""

from __future__ import annotations

import time

import bottle
import msgspec

from stemedb import limits
from stemedb.api.call import Call, reply
from stemedb.api.claims import assertion_decoder, take_one, written
from stemedb.api.dues import Signed, write, write_claim, write_signed
from stemedb.api.inputs import fault, identifier, refuse_future
from stemedb.api.later import Later
from stemedb.api.routes import Route
from stemedb.api.service import Service
from stemedb.engine import (
    CREATED,
    AliasChange,
    GoldStandard,
    Outcome,
    SourceChange,
    SourceStatusChange,
    check_epoch,
    check_vote,
)
from stemedb.engine.shapes import (
    AliasIn,
    AssertionIn,
    EpochIn,
    GoldStandardIn,
    SourceIn,
    SourceStatusIn,
    StatementReply,
    VoteIn,
    WriteReply,
    alias_from_wire,
    epoch_from_wire,
    epoch_id,
    gold_from_wire,
    source_from_wire,
    status_from_wire,
    vote_from_wire,
    vote_id,
)

_vote_decoder = msgspec.json.Decoder(VoteIn)
_epoch_decoder = msgspec.json.Decoder(EpochIn)
_source_decoder = msgspec.json.Decoder(SourceIn)
_status_decoder = msgspec.json.Decoder(SourceStatusIn)
_alias_decoder = msgspec.json.Decoder(AliasIn)
_gold_decoder = msgspec.json.Decoder(GoldStandardIn)


def vote(service: Service, call: Call) -> Later:
    """POST /v1/vote."""
    call.no_parameters()
    record = vote_from_wire(call.body(_vote_decoder))
    refuse_future("/timestamp", record.vote.timestamp, int(time.time()))
    call.caller.require_may_sign([record.vote.agent_id])
    signed = Signed(vote_id(record.vote), record.vote.agent_id)
    return write_signed(service, call, check_vote(record), signed).then(_said)


def begin_epoch(service: Service, call: Call) -> Later:
    """POST /v1/epoch."""
    call.no_parameters()
    record = epoch_from_wire(call.body(_epoch_decoder))
    refuse_future("/timestamp", record.epoch.timestamp, int(time.time()))
    call.caller.require_may_sign([record.epoch.agent_id])
    anyone = call.caller.may_end_any_epoch
    epoch = check_epoch(record, anyone=anyone)
    signed = Signed(epoch_id(record.epoch), record.epoch.agent_id)
    return write_signed(service, call, epoch, signed).then(_said)


def register_source(service: Service, call: Call) -> Later:
    """POST /v1/source."""
    call.no_parameters()
    now_s = int(time.time())
    wire = call.body(_source_decoder, bytes_max=limits.SOURCE_BODY_BYTES_MAX)
    record = source_from_wire(wire, now_s)
    refuse_future("/timestamp", record.timestamp, now_s)
    return write(service, call, SourceChange(record)).then(written)


def change_source_status(service: Service, call: Call) -> Later:
    """PATCH /v1/source/{hash}: always 200, since the source was there before."""
    call.no_parameters()
    now_s = int(time.time())
    record = status_from_wire(identifier(call, "hash"), call.body(_status_decoder), now_s)
    refuse_future("/timestamp", record.timestamp, now_s)
    return write(service, call, SourceStatusChange(record)).then(_changed)


def supersede(service: Service, call: Call) -> Later:
    """POST /v1/supersede: an assert whose parent must be there and about the same."""
    call.no_parameters()
    wire = call.body(assertion_decoder)
    if wire.parent_hash is None:
        raise fault("/parent_hash", "is required: the claim that this one revises")
    taken = take_one(service, call, wire)
    return write_claim(service, call, taken, supersedes=True).then(written)


def join_subjects(service: Service, call: Call) -> Later:
    """POST /v1/alias."""
    call.no_parameters()
    now_s = int(time.time())
    record = alias_from_wire(call.body(_alias_decoder), now_s)
    refuse_future("/timestamp", record.timestamp, now_s)
    return write(service, call, AliasChange(record)).then(_said)


def settle(service: Service, call: Call) -> Later:
    """POST /v1/gold-standard."""
    call.no_parameters()
    now_s = int(time.time())
    record = gold_from_wire(call.body(_gold_decoder), now_s)
    refuse_future("/timestamp", record.timestamp, now_s)
    return write(service, call, GoldStandard(record)).then(_said)


def _status(outcome: Outcome) -> int:
    return 201 if outcome.status == CREATED else 200


def _said(outcome: Outcome) -> bottle.HTTPResponse:
    said = StatementReply(outcome.id.hex(), outcome.seq, outcome.status)
    return reply(said, _status(outcome), seq=outcome.position)


def _changed(outcome: Outcome) -> bottle.HTTPResponse:
    return reply(WriteReply(outcome.id.hex(), outcome.seq, outcome.status), 200, seq=outcome.position)


_BODY = (411, 413, 415)

ROUTES = (
    Route(
        "POST",
        "/v1/vote",
        vote,
        "Vote for or against a claim; an agent's last word counts, weight 0 takes it back.",
        {201: (StatementReply,), 200: (StatementReply,)},
        body=VoteIn,
        refusals=(404, 410, *_BODY, 422),
    ),
    Route(
        "POST",
        "/v1/epoch",
        begin_epoch,
        "Begin an epoch, and say what it does to the one it supersedes.",
        {201: (StatementReply,), 200: (StatementReply,)},
        body=EpochIn,
        refusals=(404, *_BODY, 422),
    ),
    Route(
        "POST",
        "/v1/source",
        register_source,
        "Register a source, with its content if wanted.",
        {201: (WriteReply,), 200: (WriteReply,)},
        body=SourceIn,
        refusals=(409, 410, *_BODY),
    ),
    Route(
        "PATCH",
        "/v1/source/{hash}",
        change_source_status,
        "Dispute, retract or restore a source: every claim that rests on it follows.",
        {200: (WriteReply,)},
        body=SourceStatusIn,
        refusals=(404, 410, *_BODY),
        positioned=True,
    ),
    Route(
        "POST",
        "/v1/supersede",
        supersede,
        "Assert a claim that revises another one, its parent, about the same subject and predicate.",
        {201: (WriteReply,), 200: (WriteReply,), 202: (WriteReply,)},
        body=AssertionIn,
        refusals=(404, 409, 410, *_BODY, 422),
    ),
    Route(
        "POST",
        "/v1/alias",
        join_subjects,
        "Say that two subjects mean the same; questions follow it where they ask for aliases.",
        {201: (StatementReply,), 200: (StatementReply,)},
        body=AliasIn,
        refusals=_BODY,
    ),
    Route(
        "POST",
        "/v1/gold-standard",
        settle,
        "Settle a question: agents who spoke about it gain or lose trust.",
        {201: (StatementReply,), 200: (StatementReply,)},
        body=GoldStandardIn,
        refusals=(*_BODY, 422),
    ),
)
