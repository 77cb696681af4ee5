"""Ed25519 signatures over ids (RFC 8032, libsodium's strict verification rule).

The signed message is a domain line, the 32-byte id and the signature's own time, so that a signature says
who stood behind which content when, and means nothing anywhere else.
"""

from __future__ import annotations

from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError, CryptoError
from nacl.signing import SigningKey

from stemedb.model.claim import Signature

SIGNATURE_DOMAIN = b"stemedb:signature:v1\n"


def signature_message(content_id: bytes, timestamp: int) -> bytes:
    """Return the bytes that are signed: domain, id, and `timestamp` (Unix seconds) as 8 bytes, big-endian."""
    return SIGNATURE_DOMAIN + content_id + timestamp.to_bytes(8, "big")


def verify_signature(content_id: bytes, signature: Signature) -> bool:
    """Say whether `signature` is its agent's over `content_id`; false for keys that are no points too."""
    message = signature_message(content_id, signature.timestamp)
    return verify_detached(message, signature.signature, signature.agent_id)


def verify_detached(message: bytes, signature: bytes, public_key: bytes) -> bool:
    """Say whether `signature` (64 bytes) is `public_key`'s (32 bytes) over `message`. Releases the GIL."""
    try:
        crypto_sign_open(signature + message, public_key)
    except (BadSignatureError, CryptoError, ValueError, TypeError):
        return False
    return True


class Signer:
    """An agent that can sign: an Ed25519 key pair made from a 32-byte seed."""

    def __init__(self, seed: bytes) -> None:
        """Derive the key pair; raises `ValueError` unless `seed` has 32 bytes."""
        if len(seed) != SEED_BYTES:
            message = f"a seed has {SEED_BYTES} bytes, not {len(seed)}"
            raise ValueError(message)
        self._key = SigningKey(seed)
        self.agent_id = bytes(self._key.verify_key)

    @classmethod
    def generate(cls) -> Signer:
        """Return a signer with a fresh random key."""
        return cls(bytes(SigningKey.generate()))

    @property
    def seed(self) -> bytes:
        """The secret itself; write it nowhere but into a file only its owner can read."""
        return bytes(self._key)

    def sign(self, content_id: bytes, timestamp: int) -> Signature:
        """Return this agent's signature of `content_id`, made at `timestamp` (Unix seconds)."""
        return Signature(
            self.agent_id, self.sign_message(signature_message(content_id, timestamp)), timestamp
        )

    def sign_message(self, message: bytes) -> bytes:
        """Return the bare 64-byte signature of `message`."""
        return self._key.sign(message).signature


SEED_BYTES = 32
