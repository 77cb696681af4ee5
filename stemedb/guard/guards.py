"""The guards of one service: built from what is switched on, asked by every request."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from stemedb import limits
from stemedb.errors import Forbidden, Unauthorized
from stemedb.guard.addresses import Network, Origin, is_within, origin_of
from stemedb.guard.admission import ProofBook
from stemedb.guard.breaker import Breakers
from stemedb.guard.buckets import Balance, Buckets
from stemedb.guard.callers import ANYONE, Caller, KeyDoor
from stemedb.guard.content import ContentDefence
from stemedb.guard.meter import Meter, MeterKeeper
from stemedb.guard.rules import Pace, Rule
from stemedb.guard.toll import TollHouse

if TYPE_CHECKING:
    from stemedb.store import View


class GuardSettings(NamedTuple):
    """What is switched on. `exposed`: whoever reaches this host may do everything.

    `meter_quota`: tokens of an agent for an hour, 0 for no meter.
    """

    auth_enabled: bool = False
    exposed: bool = False
    allowed_origins: frozenset[str] = frozenset()
    trusted_proxies: tuple[Network, ...] = ()
    internal_networks: tuple[Network, ...] = ()
    meter_quota: int = 0
    admission_enabled: bool = False
    content_enabled: bool = False


class Guards:
    """Lets requests in, or says why not. Safe to use from many threads."""

    def __init__(self, settings: GuardSettings) -> None:
        """Start with every bucket full."""
        self.settings = settings
        self._paces = Buckets(limits.RATE_NAMES_MAX)
        self.meter = Meter(settings.meter_quota) if settings.meter_quota else None
        proofs = ProofBook(int(time.time())) if settings.admission_enabled else None
        self._keeper: MeterKeeper | None = None
        self.content: ContentDefence | None = None
        self.house = TollHouse(self.meter, proofs, Breakers())

    def keep_in(self, folder: Path, on_failure: Callable[[OSError], None]) -> None:
        """Take up the balances that lie in `folder`, and save them there from now on."""
        if self.meter:
            self._keeper = MeterKeeper(self.meter, folder, on_failure)

    def look_at_content(self, key: bytes) -> None:
        """Judge claims from now on, where that is switched on; `key`: 32 secret bytes, always the same."""
        if self.settings.content_enabled:
            self.content = ContentDefence(key)

    def close(self) -> None:
        """Save what is to be kept; a second call does nothing more."""
        if self._keeper:
            self._keeper.close()

    def origin(self, peer: str, forwarded_for: str | None, *, other_marks: bool) -> Origin:
        """Return where a request comes from (see `origin_of`)."""
        return origin_of(peer, forwarded_for, self.settings.trusted_proxies, other_marks=other_marks)

    def asks_for_key(self, rule: Rule) -> bool:
        """Whether a request under this rule needs a key."""
        return self.settings.auth_enabled and rule.role is not None

    def identify(self, secret: str | None, origin: Origin, view: View) -> Caller:
        """Return who holds the secret.

        Raises:
            Unauthorized: there is none, or none that lives.
            QuotaExceeded: too many such requests from there.
        """
        try:
            return KeyDoor(view).identify(secret, time.time())
        except Unauthorized:
            self.pay(Pace.STRANGER, ANYONE, origin)
            raise

    def pay(self, pace: Pace, caller: Caller, origin: Origin) -> None:
        """Count a request against its client's pace; raises `QuotaExceeded` with the seconds to wait."""
        if self._is_paced(origin):
            self._paces.require(
                _pace_name(pace, caller, origin),
                pace.value,
                1,
                f"too many requests of the class {pace.name.lower()}",
                "rate_limit",
            )

    def pace_left(self, pace: Pace, caller: Caller, origin: Origin) -> Balance | None:
        """Return what a client's pace leaves it now; None where there is no limit."""
        if not self._is_paced(origin):
            return None
        return self._paces.look(_pace_name(pace, caller, origin), pace.value)

    def _is_paced(self, origin: Origin) -> bool:
        return bool(self.settings.trusted_proxies) or not origin.is_loopback

    def is_inside(self, origin: Origin) -> bool:
        """Whether a request comes to us directly, or by a trusted proxy from an internal network."""
        inside = origin.by_trusted and is_within(origin.address, self.settings.internal_networks)
        return inside or not origin.forwarded

    def require_internal(self, rule: Rule, origin: Origin) -> None:
        """Raise `Forbidden` for a forwarded request for what is internal, unless it comes from inside."""
        if not rule.internal or not origin.forwarded:
            return
        if not origin.by_trusted:
            raise Forbidden(
                "this path takes no forwarded requests",
                code="forwarded",
                hint="Ask the service directly, or name the proxy in STEMEDB_TRUSTED_PROXIES.",
            )
        if not is_within(origin.address, self.settings.internal_networks):
            raise Forbidden(
                "this path is for internal networks only",
                code="forwarded",
                hint="See STEMEDB_INTERNAL_NETWORKS.",
            )


def client_name(caller: Caller, origin: Origin) -> bytes:
    """Return the name under which a client is limited: its key, else its address."""
    return b"k" + caller.key_id if caller.key_id else b"a" + origin.name


def _pace_name(pace: Pace, caller: Caller, origin: Origin) -> bytes:
    return pace.name.encode() + b":" + client_name(caller, origin)
