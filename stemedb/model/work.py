"""Proof of work: how much is in a nonce, and finding one (api.md "Guards")."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final, NamedTuple

from blake3 import blake3

REPORT_EVERY: Final = 8192
_FIRST_BYTES: Final = 7  # of the eight that a nonce has: there is room behind any


class Proof(NamedTuple):
    """A piece of work: the nonce, and when it was begun (Unix seconds)."""

    nonce: int
    timestamp: int


def proof_bits(agent_id: bytes, proof: Proof) -> int:
    """Return how many zero bits a proof's hash begins with."""
    message = proof.nonce.to_bytes(8, "big") + agent_id + proof.timestamp.to_bytes(8, "big")
    return 256 - int.from_bytes(blake3(message).digest(), "big").bit_length()


def solve(
    agent_id: bytes, bits: int, timestamp: int, on_progress: Callable[[int], None] = lambda _tried: None
) -> Proof:
    """Return a proof with at least `bits` zero bits; `on_progress` hears how many nonces were tried.

    It begins at a nonce by chance: a proof admits one claim, and two claims of one second need two.
    """
    tail = agent_id + timestamp.to_bytes(8, "big")
    below = 1 << (256 - bits)
    first = nonce = int.from_bytes(os.urandom(_FIRST_BYTES), "big")
    while int.from_bytes(blake3(nonce.to_bytes(8, "big") + tail).digest(), "big") >= below:
        nonce += 1
        if (nonce - first) % REPORT_EVERY == 0:
            on_progress(nonce - first)
    return Proof(nonce, timestamp)
