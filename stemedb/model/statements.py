"""What agents and administrators say beside claims: votes, epochs, aliases, gold standards; and their ids.

Each has canonical bytes (a MessagePack array of its fields) and an id: BLAKE3-256 of its own domain line
and those bytes. Votes and epochs are signed as claims are, over that id (claims.md 1 and 3).
"""

from __future__ import annotations

from enum import IntEnum

import msgspec
from blake3 import blake3

from stemedb.model.claim import Value


class Supersession(IntEnum):
    """What a new epoch does to the one it supersedes; the numbers are canonical."""

    REPLACES = 0
    REFINES = 1
    RETRACTS = 2


class Vote(msgspec.Struct, frozen=True, array_like=True):
    """An agent's weight (-1..1) for or against a claim, given at `timestamp` (Unix seconds)."""

    assertion_hash: bytes
    agent_id: bytes
    weight: float
    timestamp: int


class Epoch(msgspec.Struct, frozen=True, array_like=True):
    """A paradigm that claims may belong to, begun at `timestamp` (Unix seconds) by an agent."""

    name: str
    supersedes: bytes | None
    supersession: Supersession
    timestamp: int
    agent_id: bytes


_encoder = msgspec.msgpack.Encoder()


def vote_id(vote: Vote) -> bytes:
    """Return a vote's id."""
    return _id(b"stemedb:vote:v1\n", vote)


def epoch_id(epoch: Epoch) -> bytes:
    """Return an epoch's id."""
    return _id(b"stemedb:epoch:v1\n", epoch)


def alias_id(first: str, second: str) -> bytes:
    """Return the id of an alias: the same in both directions."""
    return _id(b"stemedb:alias:v1\n", sorted((first, second), key=str.encode))


def gold_id(subject: str, predicate: str, value: Value) -> bytes:
    """Return the id of a gold standard."""
    return _id(b"stemedb:gold:v1\n", (subject, predicate, value))


def _id(domain: bytes, content: object) -> bytes:
    return blake3(domain + _encoder.encode(content)).digest()
