"""API keys: the secret's form, its hash, and what a key may do (api.md "Guards").

A secret is `steme_live_` and 43 base64url characters, 32 random bytes. Only its hash is ever stored. A plain
BLAKE3 is enough for that: 256 random bits cannot be guessed, whatever the speed of the hash.
"""

from __future__ import annotations

import re
import secrets
from enum import IntEnum
from typing import Final

from blake3 import blake3

SECRET_PREFIX: Final = "steme_live_"  # noqa: S105 - the part that is no secret
KEY_ID_BYTES: Final = 8
_DOMAIN: Final = b"stemedb:key:v1\n"
_FORM: Final = re.compile(r"steme_live_[A-Za-z0-9_-]{43}\Z")


class Role(IntEnum):
    """What a key may do; each role may do all that the ones before it may."""

    READER = 0
    WRITER = 1
    ADMIN = 2


ROLE_NAMES: Final = {Role.READER: "reader", Role.WRITER: "writer", Role.ADMIN: "admin"}
ROLES: Final = {name: role for role, name in ROLE_NAMES.items()}


def new_secret() -> str:
    """Return a fresh secret."""
    return SECRET_PREFIX + secrets.token_urlsafe(32)


def is_secret(text: str) -> bool:
    """Say whether `text` has the form of a secret."""
    return _FORM.match(text) is not None


def hash_secret(secret: str) -> bytes:
    """Return the 32 bytes under which a secret is known; `secret` may be any text."""
    return blake3(_DOMAIN + secret.encode("utf-8", "surrogatepass")).digest()


def key_id(secret_hash: bytes) -> bytes:
    """Return the 8 bytes that name a key in lists and logs; nothing of the secret can be had from them."""
    return blake3(b"stemedb:key-id:v1\n" + secret_hash).digest(length=KEY_ID_BYTES)
