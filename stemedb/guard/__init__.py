"""Who may do what, and how much of it: keys and roles, addresses, paces, quotas, breakers, work.

Promises: closed by default where it is switched on; secrets are compared in constant time and are never
stored, logged or shown. May use: `store`, `model`. May not: know about HTTP, or write to the log or the view.
"""

from stemedb.guard.addresses import Origin
from stemedb.guard.breaker import BreakerState
from stemedb.guard.buckets import Balance
from stemedb.guard.callers import ANYONE, Caller, KeyDoor
from stemedb.guard.guards import Guards, GuardSettings, client_name
from stemedb.guard.meter import MeterKeeper
from stemedb.guard.rules import Pace, Rule
from stemedb.guard.toll import Statement, Toll, standings
from stemedb.model.work import Proof

__all__ = [
    "ANYONE",
    "Balance",
    "BreakerState",
    "Caller",
    "GuardSettings",
    "Guards",
    "KeyDoor",
    "MeterKeeper",
    "Origin",
    "Pace",
    "Proof",
    "Rule",
    "Statement",
    "Toll",
    "client_name",
    "standings",
]
