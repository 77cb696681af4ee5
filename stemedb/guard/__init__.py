"""Who may do what, and how much of it: API keys and roles.

Promises: closed by default where it is switched on; secrets are compared in constant time and are never
stored, logged or shown. May use: `store`, `model`. May not: know about HTTP, or write anything by itself.
"""

from stemedb.guard.callers import ANYONE, Caller, KeyDoor

__all__ = ["ANYONE", "Caller", "KeyDoor"]
