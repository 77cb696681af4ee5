"""The JSON shapes of API keys (api.md "Guards"): what is asked for, and what is told of one."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import msgspec

from stemedb import limits
from stemedb.model.fields import NO_CONTROL, Hash, SourceClass
from stemedb.model.keys import ROLE_NAMES, ROLES, hash_secret
from stemedb.model.records import KeyRecord
from stemedb.model.wire import TIER_NAMES, TIERS_BY_NAME, Faults

_AGENT_BYTES = 32

RoleName = Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(ROLES)})]
_Name = Annotated[
    str,
    msgspec.Meta(
        extra_json_schema={
            "minLength": 1,
            "maxLength": limits.API_KEY_NAME_BYTES_MAX,
            "pattern": NO_CONTROL,
            "description": f"at most {limits.API_KEY_NAME_BYTES_MAX} bytes of UTF-8",
        }
    ),
]
_Agents = Annotated[list[Hash], msgspec.Meta(max_length=limits.API_KEY_AGENTS_MAX)]
_Expiry = Annotated[int, msgspec.Meta(ge=1, le=limits.INTEGER_ABS_MAX)]


class KeyIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key to be made. `expires_at` in Unix seconds; `agent_ids` bind it to what these agents sign."""

    role: RoleName
    name: _Name
    expires_at: _Expiry | None = None
    agent_ids: _Agents = []
    best_tier: SourceClass | None = None


class KeyMade(msgspec.Struct, frozen=True):
    """A new key; `key` is shown this once and is kept nowhere."""

    id: str
    key: str
    role: str
    name: str
    expires_at: int | None
    agent_ids: list[str]
    best_tier: str | None


class KeyOut(msgspec.Struct, frozen=True):
    """What is known of a key. Times in Unix seconds; `live`: neither revoked nor expired."""

    id: str
    role: str
    name: str
    expires_at: int | None
    agent_ids: list[str]
    best_tier: str | None
    created_at: int
    live: bool
    revoked: bool


class KeyState(NamedTuple):
    """How it stands with a key now."""

    created_at_s: int
    live: bool
    revoked: bool


class KeysReply(msgspec.Struct, frozen=True):
    """A page of keys."""

    keys: list[KeyOut]
    next_cursor: str | None


def key_from_wire(wire: KeyIn, secret: str) -> KeyRecord:
    """Return the record of a key with this secret; raises `Invalid` that names every fault."""
    faults = Faults()
    role = faults.choice("/role", wire.role, ROLES, next(iter(ROLES.values())))
    name = faults.name("/name", wire.name, limits.API_KEY_NAME_BYTES_MAX)
    agents = tuple(
        faults.binary(f"/agent_ids/{index}", text, _AGENT_BYTES) for index, text in enumerate(wire.agent_ids)
    )
    best = None
    if wire.best_tier is not None:
        best = faults.choice("/best_tier", wire.best_tier, TIERS_BY_NAME, next(iter(TIERS_BY_NAME.values())))
    faults.raise_if_any()
    return KeyRecord(hash_secret(secret), role, name, wire.expires_at, tuple(dict.fromkeys(agents)), best)


def key_made(record: KeyRecord, content_id: bytes, secret: str) -> KeyMade:
    """Return the one reply that holds a secret."""
    return KeyMade(
        content_id.hex(),
        secret,
        ROLE_NAMES[record.role],
        record.name,
        record.expires_at,
        [each.hex() for each in record.agent_ids],
        None if record.best_tier is None else TIER_NAMES[record.best_tier],
    )


def show_key(content_id: bytes, record: KeyRecord, state: KeyState) -> KeyOut:
    """Return what a list may tell of a key."""
    return KeyOut(
        content_id.hex(),
        ROLE_NAMES[record.role],
        record.name,
        record.expires_at,
        [each.hex() for each in record.agent_ids],
        None if record.best_tier is None else TIER_NAMES[record.best_tier],
        state.created_at_s,
        state.live,
        state.revoked,
    )
