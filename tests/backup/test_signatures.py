"""What agents signed is verified anew, for every kind of record that carries a signature."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from stemedb.backup.points import read_points
from stemedb.backup.restore import Wanted, restore
from stemedb.backup.verify import verify
from stemedb.errors import Corrupt
from stemedb.log import Draft, open_log
from stemedb.model import Signature, assertion_id, canonical_bytes
from stemedb.model.records import (
    AssertionRecord,
    Body,
    EndorsementRecord,
    EpochRecord,
    VoteRecord,
    encode_body,
    type_of,
)
from stemedb.model.signing import signature_message
from stemedb.model.statements import Epoch, Supersession, Vote, epoch_id, vote_id
from tests.backup.helpers import SIGNER, TRUSTED, archive_all
from tests.builders import NOW_S, SIGNERS, assertion

AGENT = SIGNERS[0]
CLAIM = assertion()
CLAIM_ID = assertion_id(canonical_bytes(CLAIM))
VOTE = Vote(CLAIM_ID, AGENT.agent_id, 0.5, NOW_S)
EPOCH = Epoch("spring", None, Supersession.REPLACES, NOW_S, AGENT.agent_id)


def signed(content_id: bytes) -> bytes:
    """Return the agent's bare signature."""
    return AGENT.sign_message(signature_message(content_id, NOW_S))


GOOD: list[Body] = [
    AssertionRecord(CLAIM, (AGENT.sign(CLAIM_ID, NOW_S),)),
    AssertionRecord(assertion(confidence=0.5), ()),  # as unsafe mode writes them
    EndorsementRecord(CLAIM_ID, (SIGNERS[1].sign(CLAIM_ID, NOW_S),)),
    VoteRecord(VOTE, signed(vote_id(VOTE))),
    EpochRecord(EPOCH, signed(epoch_id(EPOCH))),
    EpochRecord(EPOCH, b""),
]
FORGED: list[Body] = [
    AssertionRecord(assertion(confidence=0.8), (AGENT.sign(CLAIM_ID, NOW_S),)),
    EndorsementRecord(CLAIM_ID, (Signature(SIGNERS[1].agent_id, signed(CLAIM_ID), NOW_S),)),
    VoteRecord(VOTE, signed(CLAIM_ID)),
    EpochRecord(EPOCH, signed(CLAIM_ID)),
]


def backups_of(folder: Path, bodies: list[Body]) -> Path:
    """Archive a log of these records, which no writer would have taken if they are forged."""
    with closing(open_log(folder / "wal", server_key=SIGNER.agent_id)) as log:
        log.append([Draft(type_of(body), encode_body(body)) for body in bodies])
    archive_all(folder / "wal", folder / "backups" / "wal")
    return folder / "backups"


def test_good_ones_are_counted(tmp_path: Path) -> None:
    report = verify(backups_of(tmp_path, GOOD), TRUSTED, full=True)
    assert (report.problems, report.signatures) == ([], 4)


@pytest.mark.parametrize("forged", FORGED, ids=lambda body: type(body).__name__)
def test_a_forged_one_is_refused_by_its_record(tmp_path: Path, forged: Body) -> None:
    backups = backups_of(tmp_path, [*GOOD, forged])
    (problem,) = verify(backups, TRUSTED, full=False).problems
    assert (problem.code, problem.detail[:10]) == ("bad_signature", "record 8: ")
    with pytest.raises(Corrupt, match="record 8: the signature of"):
        restore(read_points(backups, TRUSTED), Wanted(tmp_path / "to", None, None))
