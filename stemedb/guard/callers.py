"""Who asks: callers by API key, what their role allows, and what their key binds them to."""

from __future__ import annotations

import hmac
from collections.abc import Collection
from typing import NamedTuple

from stemedb.errors import Forbidden, Unauthorized
from stemedb.model.claim import Assertion, Tier
from stemedb.model.keys import ROLE_NAMES, Role, hash_secret, is_secret, key_id
from stemedb.model.wire import TIER_NAMES
from stemedb.store import View


class Caller(NamedTuple):
    """Whoever sent a request. `key_id` is None where no keys are asked for."""

    role: Role
    key_id: bytes | None = None
    name: str = ""
    agent_ids: frozenset[bytes] = frozenset()
    best_tier: Tier | None = None

    @property
    def by_admin_key(self) -> bool:
        """Whether an admin key vouches for the request; where keys are not asked for, none does."""
        return self.key_id is not None and self.role is Role.ADMIN

    @property
    def may_end_any_epoch(self) -> bool:
        """Whether it may supersede epochs of other agents: an administrator, or anybody without keys."""
        return self.role is Role.ADMIN

    def require(self, role: Role) -> None:
        """Raise `Forbidden` unless the caller has this role or more."""
        if self.role < role:
            raise Forbidden(
                f"this needs the role {ROLE_NAMES[role]}, the key has {ROLE_NAMES[self.role]}", code="role"
            )

    def require_may_claim(self, assertion: Assertion, signers: Collection[bytes]) -> None:
        """Raise `Forbidden` for a claim of a class, or by an agent, that the key does not allow."""
        if self.best_tier is not None and assertion.source_class < self.best_tier:
            raise Forbidden(
                f"/source_class: the key allows {TIER_NAMES[self.best_tier]} at best", code="best_tier"
            )
        self.require_may_sign(signers)

    def require_may_sign(self, signers: Collection[bytes]) -> None:
        """Raise `Forbidden` where the key is bound to agents and somebody else signed."""
        if self.agent_ids and not self.agent_ids.issuperset(signers):
            raise Forbidden("the key is bound to other agents than the one that signed", code="agent_binding")


ANYONE = Caller(Role.ADMIN)
"""The caller where keys are not asked for: everybody may do everything."""


class KeyDoor:
    """Tells callers by their keys, each time anew: a revoked or expired key is refused at once."""

    def __init__(self, view: View) -> None:
        """Look keys up in `view`."""
        self._view = view

    def identify(self, secret: str | None, now_s: float) -> Caller:
        """Return who holds `secret` at `now_s` (Unix seconds).

        Raises `Unauthorized` where it is missing, unknown, revoked or expired; the reply does not say which.
        """
        if secret is None:
            raise Unauthorized("an API key is required", code="key_required")
        if not is_secret(secret):
            raise _unknown()
        secret_hash = hash_secret(secret)
        content_id = key_id(secret_hash)
        with self._view.snapshot() as snapshot:
            row = snapshot.api_key(content_id)
        if row is None or not hmac.compare_digest(row.key.secret_hash, secret_hash):
            raise _unknown()
        if not row.is_live(now_s):
            raise _unknown()
        key = row.key
        return Caller(key.role, content_id, key.name, frozenset(key.agent_ids), key.best_tier)


def _unknown() -> Unauthorized:
    return Unauthorized("the API key is not known, or not any more", code="unknown_key")
