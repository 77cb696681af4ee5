"""Who may do what, and how much of it: API keys and roles, where requests come from, rate limits.

Promises: closed by default where it is switched on; secrets are compared in constant time and are never
stored, logged or shown. May use: `store`, `model`. May not: know about HTTP, or write anything by itself.
"""

from stemedb.guard.addresses import Origin
from stemedb.guard.callers import ANYONE, Caller, KeyDoor
from stemedb.guard.guards import Guards, GuardSettings
from stemedb.guard.rules import Pace, Rule

__all__ = ["ANYONE", "Caller", "GuardSettings", "Guards", "KeyDoor", "Origin", "Pace", "Rule"]
