"""The lines of a bulk request, each checked and paid for by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from stemedb import limits
from stemedb.api.claims import take_json
from stemedb.api.dues import admit_claim, blame, fail, settle
from stemedb.engine import Checked, Outcome, Unverified
from stemedb.errors import StemedbError
from stemedb.guard import Toll, client_name

if TYPE_CHECKING:
    from stemedb.api.call import Call
    from stemedb.api.service import Service


class Taken(NamedTuple):
    """A line that was read: its claim, not verified yet, and what it costs."""

    unverified: Unverified
    cost: int


class Paid(NamedTuple):
    """A line that may be written, and what was taken for it."""

    checked: Checked
    toll: Toll


class Lines:
    """Lets the lines of one request be written. Safe to use from many threads."""

    def __init__(self, service: Service, call: Call) -> None:
        """Charge whoever sent `call`."""
        self.service = service
        self.caller = call.caller
        self._name = client_name(call.caller, call.environ["stemedb.origin"])

    def take(self, content: bytes) -> Taken | StemedbError:
        """Read one line and charge its sender, or say what is wrong with it."""
        meter = self.service.guards.meter
        cost = limits.METER_COST_CLAIM + len(content) // limits.KIB
        try:
            if meter:
                meter.charge_caller(self._name, cost)
            return Taken(take_json(self.service.engine, content, self.caller), cost)
        except StemedbError as error:
            return self._refused(error)

    def admit(self, taken: Sequence[Taken | StemedbError]) -> list[Paid | StemedbError]:
        """Verify lines together, and charge the signers of each that is right; blocks while that takes."""
        claims = [each.unverified for each in taken if isinstance(each, Taken)]
        verified = iter(self.service.engine.verify(claims))
        return [
            self._admit_one(next(verified), each.cost) if isinstance(each, Taken) else each for each in taken
        ]

    def _admit_one(self, checked: Checked | StemedbError, cost: int) -> Paid | StemedbError:
        try:
            if isinstance(checked, StemedbError):
                raise checked
            return Paid(*admit_claim(self.service, self.caller, checked, cost, self._name))
        except StemedbError as error:
            return self._refused(error)

    def _refused(self, error: StemedbError) -> StemedbError:
        blame(self.service, self.caller, error)
        # What it was raised through holds the line, in a circle that is found late.
        error.__context__ = error.__cause__ = None
        return error.with_traceback(None)

    def settle(self, paid: Paid, result: Outcome | StemedbError) -> None:
        """Settle a line when it is known what became of it."""
        if isinstance(result, StemedbError):
            fail(self.service, paid.toll, result)
            if self.service.guards.meter and result.status >= StemedbError.status:
                self.service.guards.meter.refund_caller(self._name, paid.toll.statement.cost)
        else:
            settle(self.service, paid.toll, result)
