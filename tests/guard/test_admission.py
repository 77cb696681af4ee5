"""Standing, difficulty, and proofs that admit one claim once."""

from __future__ import annotations

from itertools import count

import pytest

from stemedb.errors import ProofRequired
from stemedb.guard.admission import ProofBook, Standing, difficulty_bits, standing_of
from stemedb.model.trust import Trust
from stemedb.model.work import Proof, proof_bits
from stemedb.model.work import solve as solve_work

AGENT = b"a" * 32
NOW_S = 1_760_000_000


def solve(bits: int, timestamp: int = NOW_S, agent: bytes = AGENT) -> Proof:
    return next(
        proof for proof in (Proof(nonce, timestamp) for nonce in count()) if proof_bits(agent, proof) >= bits
    )


@pytest.mark.parametrize(
    ("millionths", "standing"),
    [
        (0, Standing.UNTRUSTED),
        (299_999, Standing.UNTRUSTED),
        (300_000, Standing.LIMITED),
        (500_000, Standing.VERIFIED),
        (700_000, Standing.TRUSTED),
        (899_999, Standing.TRUSTED),
        (900_000, Standing.AUTHORITY),
        (1_000_000, Standing.AUTHORITY),
    ],
)
def test_standing(millionths: int, standing: Standing) -> None:
    assert standing_of(Trust(millionths)) is standing


@pytest.mark.parametrize(
    ("millionths", "claims", "bits"),
    [
        (500_000, 0, 16),
        (500_000, 9, 16),
        (600_000, 0, 1),
        (500_000, 10, 1),
        (500_000, 49, 1),
        (500_000, 50, 0),
        (299_999, 1000, 16),
    ],
)
def test_difficulty(millionths: int, claims: int, bits: int) -> None:
    assert difficulty_bits(Trust(millionths), claims) == bits


def test_a_proof_admits_once() -> None:
    book = ProofBook(NOW_S - 10)
    proof = solve(8)
    book.spend(AGENT, proof, 8, NOW_S)
    with pytest.raises(ProofRequired, match="used already"):
        book.spend(AGENT, proof, 8, NOW_S)
    book.spend(AGENT, solve(8, NOW_S + 1), 8, NOW_S)


@pytest.mark.parametrize(
    ("proof", "now_s"),
    [
        (None, NOW_S),
        (solve(8), NOW_S + 301),
        (solve(8, NOW_S + 31), NOW_S),
        (solve(8, NOW_S - 20), NOW_S),
        (
            next(Proof(nonce, NOW_S) for nonce in count() if proof_bits(AGENT, Proof(nonce, NOW_S)) == 7),
            NOW_S,
        ),
        (solve(8, agent=b"b" * 32), NOW_S),
    ],
)
def test_refuses_what_is_no_proof(proof: Proof | None, now_s: int) -> None:
    with pytest.raises(ProofRequired):
        ProofBook(NOW_S - 10).spend(AGENT, proof, 8, now_s)


def test_used_proofs_are_forgotten_when_they_cannot_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemedb.limits.PROOFS_REMEMBERED_MAX", 3)
    book = ProofBook(NOW_S - 10)
    for index in range(3):
        book.spend(AGENT, Proof(index, NOW_S), 0, NOW_S)
    with pytest.raises(ProofRequired, match="too many"):
        book.spend(AGENT, Proof(3, NOW_S), 0, NOW_S)
    book.spend(AGENT, Proof(4, NOW_S + 301), 0, NOW_S + 301)


def test_two_works_of_one_second_are_two() -> None:
    proofs = {found.nonce for found in (solve_work(bytes(32), 1, 1_700_000_000) for _ in range(20))}
    assert len(proofs) == 20
