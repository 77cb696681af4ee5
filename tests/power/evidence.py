"""What a machine still holds: its log, read here and not by the service, and what the service answers."""

from __future__ import annotations

import io
import tarfile
from collections import Counter
from pathlib import Path
from typing import Protocol

from stemedb.client import Client, Filters
from stemedb.errors import StemedbError
from stemedb.log.offline import FolderLog
from stemedb.log.protocol import Record
from stemedb.log.verify import verify
from stemedb.model import assertion_id, canonical_bytes
from stemedb.model.records import AssertionRecord, decode_body
from tests.power.load import Ledger

ANSWER_TIMEOUT_S = 60


class Reached(Protocol):
    """A machine or a container, as far as this looks at it."""

    def ssh_bytes(self, command: str, *, sudo: bool = False) -> bytes:
        """Run a command there and return what it prints."""
        ...


def copy_log(machine: Reached, folder: Path) -> Path:
    """Bring the machine's log here as it lies on its disk; the server's key stays where it is."""
    packed = machine.ssh_bytes("tar -C /data/wal --exclude=keys --sparse -c .", sudo=True)
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        tar.extractall(folder)  # noqa: S202  (our own machine's)
    return folder


def claim_id(record: Record) -> str | None:
    """Return the id of the claim that a record holds, none for other records."""
    body = decode_body(record.type, record.body)
    return assertion_id(canonical_bytes(body.assertion)).hex() if isinstance(body, AssertionRecord) else None


def claims_in(log: Path) -> dict[str, int]:
    """Check a whole log; return each claim's id and seq.

    Asserts that no check fails, that `seq` has no gap, and that no claim is there twice.
    """
    report = verify(log)
    assert report.whole, report.problems
    records = list(FolderLog(log).records())
    assert [record.seq for record in records] == list(range(1, report.seq + 1))
    found = [(name, record.seq) for record in records if (name := claim_id(record))]
    assert [name for name, count in Counter(name for name, _ in found).items() if count > 1] == []
    return dict(found)


def missing_from(log: Path, ledger: Ledger) -> list[str]:
    """Return the acknowledged claims that a log, whole or not, does not give back."""
    found = set()
    try:
        for record in FolderLog(log).records():
            found.add(claim_id(record))
    except StemedbError:
        pass  # what stands behind the damage is lost
    return [name for name in ledger.seqs if name not in found]


def check_answers(url: str, ledger: Ledger, subjects: set[str], logged: dict[str, int]) -> None:
    """Assert that the service shows each acknowledged claim about `subjects` once, and nothing unlogged."""
    with Client(url, timeout_s=ANSWER_TIMEOUT_S) as client:
        for subject in subjects:
            shown = [
                (each.hash, each.seq) for each in client.claims(subject, filters=Filters(lifecycle="any"))
            ]
            assert len(dict(shown)) == len(shown), f"a claim about {subject} is shown twice"
            assert ledger.subjects.get(subject, set()) <= dict(shown).keys()
            assert dict(shown).items() <= logged.items()
