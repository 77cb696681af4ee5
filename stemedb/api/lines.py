"""The lines of a bulk request, each checked and paid for by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from stemedb import limits
from stemedb.api.claims import check_json
from stemedb.api.dues import blame, fail, judged, settle
from stemedb.engine import Checked, Outcome
from stemedb.errors import StemedbError
from stemedb.guard import Statement, Toll, client_name

if TYPE_CHECKING:
    from stemedb.api.call import Call
    from stemedb.api.service import Service


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

    def admit(self, content: bytes) -> Paid | StemedbError:
        """Check one line and take what it costs, or say why not."""
        guards, engine = self.service.guards, self.service.engine
        cost = limits.METER_COST_CLAIM + len(content) // limits.KIB
        try:
            if guards.meter:
                guards.meter.charge_caller(self._name, cost)
            checked = check_json(engine, content, self.caller)
            signers = [each.agent_id for each in checked.signatures]
            statement = Statement(checked.id, signers, cost)
            checked = judged(self.service, checked)
            return Paid(checked, guards.house.take(statement, self._name, None, engine.view))
        except StemedbError as error:
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
