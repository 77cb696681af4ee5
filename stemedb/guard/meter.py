"""The meter: tokens for agents and callers, refilled over an hour (api.md "Guards").

Every request is charged to its caller, who has more; an agent only pays for what its own signature proves, so
nobody can spend what is another's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from stemedb import limits
from stemedb.errors import QuotaExceeded
from stemedb.guard.buckets import Balance, Buckets, Rate
from stemedb.store.balances import Balances, load_balances, save_balances

Levels = list[tuple[bytes, float]]


class Meter:
    """The balances of one service. Safe to use from many threads."""

    def __init__(self, quota: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with every balance full; `quota` is the tokens that an agent has for an hour."""
        self._quota = quota
        self._agents = Buckets(limits.METER_NAMES_MAX, clock)
        self._callers = Buckets(limits.METER_NAMES_MAX, clock)

    @property
    def quota(self) -> int:
        """The tokens that an agent has for an hour, unless it has a quota of its own."""
        return self._quota

    def charge_caller(self, name: bytes, cost: int) -> None:
        """Take tokens of a caller; raises `QuotaExceeded` with the seconds to wait."""
        rate = _rate(self._quota * limits.METER_CALLER_FACTOR)
        self._callers.require(name, rate, cost, "the caller's quota is used up", "quota_exceeded")

    def charge_agents(self, agents: Iterable[tuple[bytes, float]], cost: int) -> None:
        """Take tokens of each agent, given with its quota, or of none.

        Raises `QuotaExceeded` with the seconds to wait.
        """
        paid: list[tuple[bytes, float]] = []
        try:
            for agent_id, quota in agents:
                rate = _rate(quota)
                self._agents.require(agent_id, rate, cost, "the agent's quota is used up", "quota_exceeded")
                paid.append((agent_id, quota))
        except QuotaExceeded:
            self.refund_agents(paid, cost)
            raise

    def refund_agents(self, agents: Iterable[tuple[bytes, float]], cost: int) -> None:
        """Give tokens back to agents for what did not happen."""
        for agent_id, quota in agents:
            self._agents.give_back(agent_id, _rate(quota), cost)

    def refund_caller(self, name: bytes, cost: int) -> None:
        """Give tokens back to a caller."""
        self._callers.give_back(name, _rate(self._quota * limits.METER_CALLER_FACTOR), cost)

    def agent_balance(self, agent_id: bytes, quota: float) -> Balance:
        """Return what is left to an agent that has `quota` tokens for an hour."""
        return self._agents.look(agent_id, _rate(quota))

    def caller_balance(self, name: bytes) -> Balance:
        """Return what is left to a caller."""
        return self._callers.look(name, _rate(self._quota * limits.METER_CALLER_FACTOR))

    # -- over a restart --

    @property
    def changes(self) -> int:
        """A number that grows with every change of a balance."""
        return self._agents.changes + self._callers.changes

    def saved(self, now_s: float) -> Balances:
        """Return the balances of those who were here last, as of `now_s` (Unix seconds)."""
        most = limits.METER_SAVED_NAMES_MAX
        return Balances(now_s, self._agents.saved()[-most:], self._callers.saved()[-most:])

    def restore(self, balances: Balances, now_s: float) -> None:
        """Take balances back, with what has come since; a clock that went back adds nothing."""
        away_s = max(0.0, now_s - balances.saved_at_s)
        self._agents.restore(balances.agents, away_s)
        self._callers.restore(balances.callers, away_s)


class MeterKeeper:
    """Saves a meter's balances each second, and takes up what was saved before."""

    def __init__(self, meter: Meter, folder: Path, on_failure: Callable[[OSError], None]) -> None:
        """Take up what lies in `folder`, and start; `on_failure` hears of a save that failed."""
        self._meter = meter
        self._folder = folder
        self._on_failure = on_failure
        self._over = threading.Event()
        if (before := load_balances(folder)) is not None:
            meter.restore(before, time.time())
        self._saved_changes = meter.changes
        self._thread = threading.Thread(target=self._run, name="meter", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Save once more and end."""
        self._over.set()
        self._thread.join(limits.CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        while not self._over.wait(limits.METER_SAVE_EVERY_S):
            self._save()
        self._save()

    def _save(self) -> None:
        changes = self._meter.changes
        if changes == self._saved_changes:
            return
        try:
            save_balances(self._folder, self._meter.saved(time.time()))
        except OSError as error:
            self._on_failure(error)
        else:
            self._saved_changes = changes


def _rate(tokens: float) -> Rate:
    return Rate(tokens, tokens / limits.METER_PERIOD_S)
