"""Votes, epochs and sources as a client would send them, signed where they must be."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from stemedb.model import Signer
from stemedb.model.statements import epoch_id, vote_id
from stemedb.model.statements_wire import EpochIn, VoteIn, epoch_from_wire, vote_from_wire
from tests.e2e.signing import SIGNER, WHEN_S

UNSIGNED = "0" * 128


def vote(claim: str, weight: float, signer: Signer = SIGNER, at: int = WHEN_S) -> dict[str, Any]:
    """Return a signed vote."""
    body = {
        "assertion_hash": claim,
        "agent_id": signer.agent_id.hex(),
        "weight": weight,
        "timestamp": at,
        "signature": UNSIGNED,
    }
    content = vote_from_wire(msgspec.convert(body, VoteIn)).vote
    return body | {"signature": signer.sign(vote_id(content), at).signature.hex()}


def epoch(name: str, signer: Signer = SIGNER, at: int = WHEN_S, **fields: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a signed epoch; `fields` are `supersedes` and `supersession`."""
    body = {
        "name": name,
        "agent_id": signer.agent_id.hex(),
        "timestamp": at,
        "signature": UNSIGNED,
        **fields,
    }
    content = epoch_from_wire(msgspec.convert(body, EpochIn)).epoch
    return body | {"signature": signer.sign(epoch_id(content), at).signature.hex()}


def source(title: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 (any field of a source)
    """Return a source; its hash is that of its title."""
    return {"source_hash": hashlib.sha256(title.encode()).hexdigest(), "title": title, **fields}
