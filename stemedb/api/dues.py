"""Writing what was said, with what that costs: taken before, settled when it is known what became of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from stemedb import limits
from stemedb.api.later import Later
from stemedb.engine import QUARANTINED, Change, Checked, Outcome, Unverified
from stemedb.engine.shapes import DOUBT_NAMES
from stemedb.errors import Invalid, StemedbError
from stemedb.guard import Caller, Proof, Statement, Toll, client_name
from stemedb.guard.toll import is_refused

if TYPE_CHECKING:
    import bottle

    from stemedb.api.call import Call
    from stemedb.api.service import Service
    from stemedb.engine import Pending

_U64_DIGITS_MAX: Final = 20
_U64_MAX: Final = 2**64 - 1
_ID_BYTES: Final = 32


class Signed(NamedTuple):
    """The id of a statement, and the agent whose verified signature it has."""

    id: bytes
    agent_id: bytes


class Writing:
    """A statement on its way, and what was taken for it: nothing while it is not verified."""

    def __init__(self, service: Service, caller: Caller, toll: Toll | None = None) -> None:
        """Nothing is settled yet; `pending` follows."""
        self._service = service
        self._caller = caller
        self.toll = toll
        self.pending: Pending

    def outcome(self) -> Outcome:
        """Wait for what became of it, and settle that; raises what engine and guards raise."""
        try:
            outcome = self.pending.outcome()
        except StemedbError as error:
            if self.toll:
                fail(self._service, self.toll, error)
            else:
                blame(self._service, self._caller, error)
            raise
        except BaseException:
            if self.toll:
                self._service.guards.house.fail(self.toll, None, self._service.engine.view)
            raise
        assert self.toll is not None  # noqa: S101 - nothing is written without
        settle(self._service, self.toll, outcome)
        return outcome

    def then(self, answer: Callable[[Outcome], bottle.HTTPResponse]) -> Later:
        """Return the answer that is made once the outcome is there."""
        return Later(self.pending, lambda: answer(self.outcome()))


def write_claim(service: Service, call: Call, claim: Unverified, *, supersedes: bool = False) -> Writing:
    """Begin to verify and write a claim; raises what engine and guards raise."""
    cost: int = call.environ.get("stemedb.cost", limits.METER_COST_CLAIM)
    name, proof = client_name(call.caller, call.environ["stemedb.origin"]), given_proof(call)
    writing = Writing(service, call.caller)

    def admit(checked: Checked) -> Change:
        if checked.signatures:
            call.environ["stemedb.agent"] = checked.signatures[0].agent_id
        admitted, writing.toll = admit_claim(service, call.caller, checked, cost, name, proof)
        return admitted._replace(supersedes=True) if supersedes else admitted

    writing.pending = service.engine.begin_claim(claim, admit, call.caller.key_id)
    return writing


def admit_claim(
    service: Service, caller: Caller, checked: Checked, cost: int, name: bytes, proof: Proof | None = None
) -> tuple[Checked, Toll]:
    """Let a verified claim be written, and take `cost` tokens for it; return it with its judge, and the toll.

    `name` is the one under which the caller is limited.

    Raises:
        Forbidden: the caller's key does not allow a claim with these signatures.
        QuotaExceeded, ProofRequired: an agent may not just now (see `TollHouse.take`).
    """
    signers = [each.agent_id for each in checked.signatures]
    caller.require_may_claim(checked.assertion, signers)
    if defence := service.guards.content:
        checked = checked._replace(judge=defence.judge(checked.assertion, frozenset(signers)).verdict)
    statement = Statement(checked.id, signers, cost)
    return checked, service.guards.house.take(statement, name, proof, service.engine.view)


def settle(service: Service, toll: Toll, outcome: Outcome) -> None:
    """Settle what was written, and note where a claim was held back."""
    held = outcome.status == QUARANTINED
    service.guards.house.settle(toll, new=outcome.is_new, held=held)
    if held and outcome.is_new:
        reasons = [DOUBT_NAMES[doubt] for doubt in outcome.doubts]
        for reason in reasons:
            service.telemetry.quarantined.labels(reason).inc()
        service.log.info("claim held back", claim=outcome.id.hex(), seq=outcome.seq, reasons=reasons)


def write_signed(service: Service, call: Call, change: Change, signed: Signed) -> Writing:
    """Begin to write another verified statement; raises what engine and guards raise."""
    cost = call.environ.get("stemedb.cost", limits.METER_COST_VOTE)
    statement = Statement(signed.id, [signed.agent_id], cost, is_claim=False)
    return _write_paid(service, call, change, statement)


def write(service: Service, call: Call, change: Change) -> Writing:
    """Begin to write what nobody signed: it is the caller's alone."""
    cost = call.environ.get("stemedb.cost", limits.METER_COST_CLAIM)
    return _write_paid(service, call, change, Statement(b"", (), cost, is_claim=False))


def _write_paid(service: Service, call: Call, change: Change, statement: Statement) -> Writing:
    house = service.guards.house
    if statement.signers:
        call.environ["stemedb.agent"] = statement.signers[0]
    name = client_name(call.caller, call.environ["stemedb.origin"])
    toll = house.take(statement, name, given_proof(call), service.engine.view)
    writing = Writing(service, call.caller, toll)
    try:
        writing.pending = service.engine.begin(change, call.caller.key_id)
    except StemedbError as error:
        fail(service, toll, error)
        raise
    except BaseException:
        house.fail(toll, None, service.engine.view)
        raise
    return writing


def fail(service: Service, toll: Toll, error: StemedbError) -> None:
    """Settle what was refused; an agent that this shuts out is named in the log."""
    _note_opened(service, service.guards.house.fail(toll, error, service.engine.view))


def blame(service: Service, caller: Caller, error: StemedbError) -> None:
    """Count a claim that could not be verified against the one agent that the caller's key is bound to."""
    if len(caller.agent_ids) != 1 or not is_refused(error):
        return
    (agent_id,) = caller.agent_ids
    if service.guards.house.breakers.note_refusal(agent_id, os.urandom(_ID_BYTES)):
        _note_opened(service, [agent_id])


def _note_opened(service: Service, agents: list[bytes]) -> None:
    for agent_id in agents:
        service.log.warning("breaker opened", agent=agent_id.hex(), seconds=limits.BREAKER_PAUSE_S)


def given_proof(call: Call) -> Proof | None:
    """Return the work that came with a request; raises `Invalid` where that is none."""
    nonce, timestamp = call.environ.get("HTTP_X_POW_NONCE"), call.environ.get("HTTP_X_POW_TIMESTAMP")
    if nonce is None and timestamp is None:
        return None
    numbers = [
        int(text)
        for text in (nonce, timestamp)
        if text and text.isascii() and text.isdigit() and len(text) <= _U64_DIGITS_MAX
    ]
    if len(numbers) != len(Proof._fields) or max(numbers) > _U64_MAX:
        raise Invalid("X-PoW-Nonce and X-PoW-Timestamp must be whole numbers, together", code="bad_proof")
    return Proof(*numbers)
