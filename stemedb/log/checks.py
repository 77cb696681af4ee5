"""What any log refuses before it does anything: the limits of a batch and of a range."""

from __future__ import annotations

from collections.abc import Sequence

from stemedb.errors import Invalid
from stemedb.limits import BATCH_BYTES_MAX, BATCH_CHANGES_MAX, LOG_PROOF_PAGE_MAX, RECORD_BYTES_MAX
from stemedb.log.protocol import GENESIS_TYPE, Draft

_TYPE_MAX = 255


def check_batch(batch: Sequence[Draft]) -> None:
    """Refuse an empty batch and one over a limit.

    Raises:
        Invalid: with what is too large.
    """
    if not 1 <= len(batch) <= BATCH_CHANGES_MAX:
        raise Invalid(f"a batch of {len(batch)} records; 1 to {BATCH_CHANGES_MAX} are taken")
    total = 0
    for kind, body in batch:
        if not GENESIS_TYPE < kind <= _TYPE_MAX:
            raise Invalid(f"record type {kind}; 2 to {_TYPE_MAX} are taken")
        if len(body) > RECORD_BYTES_MAX:
            raise Invalid(f"a record of {len(body)} bytes; at most {RECORD_BYTES_MAX} are taken")
        total += len(body)
    if total > BATCH_BYTES_MAX:
        raise Invalid(f"a batch of {total} bytes; at most {BATCH_BYTES_MAX} are taken")


def check_from(from_seq: int) -> None:
    """Refuse a place before the first record.

    Raises:
        Invalid: `from_seq` is below 1.
    """
    if from_seq < 1:
        raise Invalid(f"records begin with seq 1, not {from_seq}")


def check_page(from_seq: int, to_seq: int, head_seq: int) -> None:
    """Refuse a page of hashes that is empty, too long, or not there yet.

    Raises:
        Invalid: with what is wrong with the range.
    """
    check_from(from_seq)
    if not from_seq <= to_seq <= head_seq:
        raise Invalid(f"seq {from_seq} to {to_seq} is not a range of this log, which ends with {head_seq}")
    if to_seq - from_seq >= LOG_PROOF_PAGE_MAX:
        raise Invalid(f"{to_seq - from_seq + 1} hashes; at most {LOG_PROOF_PAGE_MAX} are given at once")


def check_erasable(seqs: Sequence[int], head_seq: int) -> None:
    """Refuse to erase what is not there, and the genesis, by which a log is known.

    Raises:
        Invalid: with the first seq that cannot be erased.
    """
    for seq in seqs:
        if not 1 < seq <= head_seq:
            raise Invalid(f"record {seq} cannot be erased: 2 to {head_seq} can")
