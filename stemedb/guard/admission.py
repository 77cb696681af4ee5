"""Admission: how far an agent is trusted to write, and the work a stranger must do first (api.md "Guards").

The work is hashcash (Back 2002): a nonce for which BLAKE3(nonce u64 BE + agent id + timestamp u64 BE)
begins with enough zero bits. It names the agent and the time, so it cannot be made ahead or handed on,
and each proof admits one claim once.
"""

from __future__ import annotations

import threading
from enum import Enum
from typing import Final

from stemedb import limits
from stemedb.errors import ProofRequired, Work
from stemedb.model.trust import Trust
from stemedb.model.work import Proof, proof_bits


class Standing(Enum):
    """How far an agent is trusted; the value is the part of the quota it has."""

    UNTRUSTED = 0.1
    LIMITED = 0.5
    VERIFIED = 1.0
    TRUSTED = 2.0
    AUTHORITY = 10.0


_BOUNDS: Final = (
    (900_000, Standing.AUTHORITY),
    (700_000, Standing.TRUSTED),
    (500_000, Standing.VERIFIED),
    (300_000, Standing.LIMITED),
    (0, Standing.UNTRUSTED),
)


def standing_of(trust: Trust) -> Standing:
    """Return where an agent's trust puts it; the lower bound of each standing is inclusive."""
    return next(standing for bound, standing in _BOUNDS if trust.millionths >= bound)


def difficulty_bits(trust: Trust, claims_count: int) -> int:
    """Return how many zero bits an agent's proof needs; 0 where it needs none."""
    if standing_of(trust) is Standing.UNTRUSTED:
        return limits.PROOF_BITS_NEW
    if claims_count < limits.PROOF_CLAIMS_NEW and trust.millionths < limits.PROOF_TRUST_MILLIONTHS:
        return limits.PROOF_BITS_NEW
    return limits.PROOF_BITS_YOUNG if claims_count < limits.PROOF_CLAIMS_YOUNG else 0


class ProofBook:
    """Remembers the proofs that were used, for as long as they could be used again."""

    def __init__(self, started_s: int) -> None:
        """Begin at `started_s` (Unix seconds): older proofs may have been used before the restart."""
        self._started_s = started_s
        self._lock = threading.Lock()
        self._used: dict[bytes, int] = {}

    def spend(self, agent_id: bytes, proof: Proof | None, bits: int, now_s: int) -> None:
        """Use a proof up; raises `ProofRequired` where it is missing, weak, old, early or used."""
        work = Work(bits, agent_id.hex(), limits.PROOF_AGE_S_MAX)
        if proof is None:
            raise _required("a proof of work is required", work=work)
        if not now_s - limits.PROOF_AGE_S_MAX <= proof.timestamp <= now_s + limits.PROOF_AHEAD_S_MAX:
            raise _required("the proof of work is too old, or not yet valid", code="proof_expired", work=work)
        if proof.timestamp < self._started_s:
            raise _required(
                "the proof of work is older than the service's start", code="proof_expired", work=work
            )
        if proof_bits(agent_id, proof) < bits:
            raise _required(
                f"the proof of work has fewer than {bits} zero bits", code="proof_too_weak", work=work
            )
        key = proof.nonce.to_bytes(8, "big") + agent_id + proof.timestamp.to_bytes(8, "big")
        with self._lock:
            self._forget(now_s)
            if key in self._used:
                raise _required("the proof of work was used already", code="proof_used", work=work)
            if len(self._used) >= limits.PROOFS_REMEMBERED_MAX:
                raise _required("too many proofs of work at once; try again later", work=work)
            self._used[key] = proof.timestamp + limits.PROOF_AGE_S_MAX

    def spend_if_needed(self, agent_id: bytes, proof: Proof | None, bits: int, now_s: int) -> None:
        """Use a proof up where `bits` are needed; raises `ProofRequired` as `spend` does."""
        if bits:
            self.spend(agent_id, proof, bits, now_s)

    def _forget(self, now_s: int) -> None:
        """Drop what can't be used again; the oldest stand first, since times only differ by minutes."""
        while self._used:
            key = next(iter(self._used))
            if self._used[key] >= now_s:
                break
            del self._used[key]


def _required(detail: str, *, work: Work, code: str | None = None) -> ProofRequired:
    error = ProofRequired(detail, code=code)
    error.work = work
    return error
