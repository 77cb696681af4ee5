"""What a path asks of its callers: a role, a pace, and what it costs. Each route names one of these."""

from __future__ import annotations

from enum import Enum, unique
from typing import Final, NamedTuple

from stemedb import limits
from stemedb.guard.buckets import Rate
from stemedb.model.keys import Role


@unique
class Pace(Enum):
    """Classes of paths that share a rate limit: how much a client may ask at once, and each second."""

    PROBE = Rate(limits.RATE_PROBE_BURST, limits.RATE_PROBE_PER_S)
    READ = Rate(limits.RATE_READ_BURST, limits.RATE_READ_PER_S)
    WRITE = Rate(limits.RATE_WRITE_BURST, limits.RATE_WRITE_PER_S)
    BULK = Rate(limits.RATE_BULK_BURST, limits.RATE_BULK_PER_S)
    ADMIN = Rate(limits.RATE_ADMIN_BURST, limits.RATE_ADMIN_PER_S)
    STRANGER = Rate(limits.RATE_STRANGER_BURST, limits.RATE_STRANGER_PER_S)


class Rule(NamedTuple):
    """The least role (None: no key at all), the pace, what it costs the caller at least (tokens).

    `internal`: forwarded requests must come from inside.
    """

    role: Role | None
    pace: Pace
    cost: int = 0
    internal: bool = False


PUBLIC: Final = Rule(None, Pace.PROBE)
LOOK: Final = Rule(Role.READER, Pace.READ)
READ: Final = Rule(Role.READER, Pace.READ, limits.METER_COST_QUESTION)
RESOLVE: Final = Rule(Role.READER, Pace.READ, limits.METER_COST_QUESTION + limits.METER_COST_LENS)
METRICS: Final = Rule(Role.READER, Pace.READ, internal=True)
WRITE: Final = Rule(Role.WRITER, Pace.WRITE, limits.METER_COST_CLAIM)
PREPARE: Final = Rule(Role.WRITER, Pace.WRITE, limits.METER_COST_VOTE)
VOTE: Final = Rule(Role.WRITER, Pace.WRITE, limits.METER_COST_VOTE)
BULK: Final = Rule(Role.WRITER, Pace.BULK)  # its lines are charged one by one
SETTLE: Final = Rule(Role.ADMIN, Pace.WRITE, limits.METER_COST_CLAIM)
ADMIN: Final = Rule(Role.ADMIN, Pace.ADMIN, internal=True)
