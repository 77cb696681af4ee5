"""The limit of the write path: what a claim costs without HTTP, queues or answers.

Decode, verify, hash, frame, write, sync, and four rows into LMDB a claim, with the service's own chunk size,
verifiers, flags and one processor for all threads; one chunk is decoded while the one before is verified and
the one before that written. Each run is a process of its own: `python -m bench._rawpath FOLDER` reads the
lines from standard input and prints the claims a second.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import lmdb
import msgspec
from crc32c import crc32c

from stemedb import limits
from stemedb.api.processor import settle
from stemedb.engine.verifiers import Signed, Verifiers, verify_here
from stemedb.log import Draft
from stemedb.log.frames import chain_start, encode_batch
from stemedb.model import assertion_id, canonical_bytes
from stemedb.model.records import RecordType, encode_assertion
from stemedb.model.wire import AssertionIn, assertion_from_wire
from stemedb.store import keys

_TABLES = ("ids", "claims", "questions", "agents")
_MAP_BYTES = limits.MAP_BYTES_DEFAULT
_decoder = msgspec.json.Decoder(AssertionIn)

Claim = tuple[bytes, bytes, bytes, bytes, bytes]
"""Body of the record, and the keys of the four rows."""


def take(line: bytes) -> tuple[Claim, list[Signed]]:
    """Decode and hash a line; return also what is to be verified."""
    signed = assertion_from_wire(_decoder.decode(line), default_timestamp=None)
    canonical = canonical_bytes(signed.assertion)
    claim_id = assertion_id(canonical)
    assertion = signed.assertion
    claim = (
        encode_assertion(canonical, signed.signatures),
        claim_id,
        keys.claim_key(assertion, claim_id),
        keys.question_key(assertion.subject, assertion.predicate),
        signed.signatures[0].agent_id,
    )
    return claim, [Signed(claim_id, each) for each in signed.signatures]


def require_genuine(verdicts: Sequence[bool]) -> None:
    """End where a signature does not verify."""
    if not all(verdicts):
        raise SystemExit("a signature does not verify")


def check(line: bytes) -> Claim:
    """Do for one line what must be done before it may be written."""
    claim, signed = take(line)
    require_genuine(verify_here(signed))
    return claim


class RawPath:
    """A log file and an LMDB environment, written as the service writes them."""

    def __init__(self, folder: Path) -> None:
        """Make both in `folder`, the file written with zeros beforehand as segments are."""
        self._fd = os.open(folder / "log", os.O_CREAT | os.O_RDWR, 0o600)
        for _ in range(limits.LOG_SEGMENT_BYTES_DEFAULT // limits.MIB):
            os.write(self._fd, bytes(limits.MIB))
        os.fsync(self._fd)
        self._offset = 0
        self._seq = 1
        self._chain = chain_start(bytes(16))
        self._env = lmdb.open(
            str(folder), lib_version=0, map_size=_MAP_BYTES, metasync=False, max_dbs=len(_TABLES)
        )
        self._tables = [self._env.open_db(name.encode()) for name in _TABLES]

    def write(self, claims: Sequence[Claim]) -> None:
        """Make a chunk durable and visible."""
        drafts = [Draft(RecordType.ASSERTION, claim[0]) for claim in claims]
        frames, self._chain = encode_batch(drafts, self._seq, time.time_ns() // 1000, self._chain)
        data = b"".join(frames)
        if self._offset + len(data) > limits.LOG_SEGMENT_BYTES_DEFAULT:
            self._offset = 0
        os.pwrite(self._fd, data, self._offset)
        os.fdatasync(self._fd)
        self._offset += len(data)
        self._seq += len(claims)
        with self._env.begin(write=True) as txn:
            for body, claim_id, key, question, agent in claims:
                for table, place, value in zip(
                    self._tables, (claim_id, key, question, agent), (key, body, b"1", b"1"), strict=True
                ):
                    txn.put(place, value + crc32c(value, crc32c(place)).to_bytes(4, "big"), db=table)


def run(folder: Path, lines: Sequence[bytes]) -> float:
    """Write all `lines`; return claims a second."""
    chunk = limits.BULK_CHUNK_LINES_MAX
    path, verifiers = RawPath(folder), Verifiers(processors=settle())
    verifying: Future[list[Claim]] | None = None
    writing: Future[None] | None = None

    def verify(taken: Sequence[tuple[Claim, list[Signed]]]) -> list[Claim]:
        require_genuine(verifiers.verify([one for _, signed in taken for one in signed]))
        return [claim for claim, _ in taken]

    verify([take(line) for line in lines[:chunk]])  # a service that has served before has started them
    began = time.perf_counter()
    with ThreadPoolExecutor(1) as verifier, ThreadPoolExecutor(1) as writer:
        for first in range(0, len(lines) + chunk, chunk):
            taken = [take(line) for line in lines[first : first + chunk]]
            if verifying is not None:
                claims = verifying.result()
                if writing is not None:
                    writing.result()
                writing = writer.submit(path.write, claims)
            verifying = verifier.submit(verify, taken)
    rate = len(lines) / (time.perf_counter() - began)
    verifiers.close()
    return rate


def measure(folder: Path, lines: Sequence[bytes]) -> float:
    """Run it in a process of its own on an empty `folder`; return claims a second."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "bench._rawpath", str(folder)],
        input=b"\n".join(lines),
        stdout=subprocess.PIPE,
        check=True,
    )
    return float(done.stdout)


if __name__ == "__main__":
    print(run(Path(sys.argv[1]), sys.stdin.buffer.read().split(b"\n")))
