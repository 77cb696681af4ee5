"""History that can be checked: signed heads, and the chain recomputed against a head kept before."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from stemedb import limits
from stemedb.errors import Corrupt, Invalid
from stemedb.log import Head, Log, chain_start, next_chain
from stemedb.model import Signer
from stemedb.model.history import ProofPage, SignedHead, sign_head, verify_head

Hashes = Callable[[int, int], list[bytes]]
"""Gives the frame hashes of a range of seqs, both included, at most `LOG_PROOF_PAGE_MAX` of them."""

WAYS_OUT = (
    "keep both heads and the log as they are: they are the evidence",
    "compare with a backup of the log from before the kept head",
)


class Audited(NamedTuple):
    """What an audit found true: the kept head stands in the log, which goes on to `head_seq`."""

    log_id: str
    kept_seq: int
    head_seq: int


def signed_head(log: Log, signer: Signer) -> SignedHead:
    """Return the log's head of now, signed."""
    head = log.head()
    return sign_head(signer, log.log_id, head.seq, head.chain, head.time)


def proof_page(log: Log, first_seq: int, last_seq: int) -> ProofPage:
    """Return a page of the log's hashes, each frame checked against its own; raises `Invalid`."""
    hashes = [digest.hex() for digest in log.hashes(first_seq, last_seq)]
    return ProofPage(log.log_id.hex(), first_seq, hashes)


def audit(kept: SignedHead, log_id: bytes, head: Head, hashes: Hashes) -> Audited:
    """Recompute the chain of the whole log and hold it against a head kept before and the head of now.

    Every frame's hash is fetched again, so a byte changed anywhere in history is found: it changes the
    hash of its record (or stops the reading of it), and with that every chain value after it.

    Raises:
        Invalid: the kept head is none, or of another log.
        Corrupt: the log does not contain the kept head, or does not add up to its own.
    """
    verify_head(kept)
    if kept.log_id != log_id.hex():
        raise Invalid(
            f"the kept head is of log {kept.log_id}, this log is {log_id.hex()}", code="foreign_head"
        )
    if kept.seq > head.seq:
        detail = f"the log ends with record {head.seq}, but record {kept.seq} was vouched for"
        raise Corrupt(detail, code="history_lost", ways_out=WAYS_OUT)
    chain, seq = chain_start(log_id), 0
    while seq < head.seq:
        last_seq = min(seq + limits.LOG_PROOF_PAGE_MAX, head.seq)
        page = hashes(seq + 1, last_seq)
        if len(page) != last_seq - seq:
            raise Corrupt(f"{len(page)} hashes for records {seq + 1} to {last_seq}", code="history_changed")
        for digest in page:
            chain, seq = next_chain(chain, digest), seq + 1
            if seq == kept.seq and chain.hex() != kept.chain:
                detail = f"the log's first {seq} records are not those that the kept head vouches for"
                raise Corrupt(detail, code="history_changed", ways_out=WAYS_OUT)
    if chain != head.chain:
        detail = f"the {seq} records of the log do not add up to the chain value of its head"
        raise Corrupt(detail, code="history_changed", ways_out=WAYS_OUT)
    return Audited(kept.log_id, kept.seq, head.seq)
