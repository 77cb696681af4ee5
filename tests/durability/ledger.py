"""The ledger of acknowledged claims, and holding a data folder against it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import msgspec

from stemedb.engine import Engine
from stemedb.log.offline import FolderLog
from stemedb.log.verify import verify
from stemedb.model import assertion_id
from stemedb.model.records import RecordType

ROOT = Path(__file__).parents[2]


def say(text: str) -> None:
    """Print a figure; `pytest -s` shows it, and so does a failure."""
    sys.stdout.write(f"\n{text}\n")


def acknowledged(ledger: Path) -> dict[str, int]:
    """Return the ids, and seqs, that writers were told are durable; a line that was cut does not count."""
    lines = ledger.read_text().split("\n")[:-1] if ledger.exists() else []
    return {claim_id: int(seq) for claim_id, seq in (line.split() for line in lines)}


def logged(wal_dir: Path) -> Iterator[tuple[str, int]]:
    """Yield the id and seq of every claim in the log; checks that seqs are gapless on the way."""
    for expected, record in enumerate(FolderLog(wal_dir).records(), 1):
        assert record.seq == expected
        if record.type == RecordType.ASSERTION:
            # The first element of the body is the claim's canonical bytes, as they were hashed.
            canonical, *_ = msgspec.msgpack.decode(record.body, type=list[msgspec.Raw])
            yield assertion_id(bytes(canonical)).hex(), record.seq


def assert_log_holds(wal_dir: Path, told: dict[str, int]) -> int:
    """Check that the log is whole and holds every acknowledged claim once, at its seq; give its last seq."""
    report = verify(wal_dir)
    assert report.whole, report.problems
    claims = list(logged(wal_dir))
    twice = [claim_id for claim_id, count in Counter(claim_id for claim_id, _ in claims).items() if count > 1]
    assert not twice
    found = dict(claims)
    lost = {claim_id: seq for claim_id, seq in told.items() if found.get(claim_id) != seq}
    assert not lost, f"{len(lost)} of {len(told)} acknowledged claims are lost"
    return report.seq


def assert_engine_holds(engine: Engine, wal_dir: Path, told: dict[str, int]) -> None:
    """Check the same, and that every claim can be read."""
    last_seq = assert_log_holds(wal_dir, told)
    assert engine.view.applied_seq == last_seq
    with engine.view.snapshot() as snapshot:
        missing = [claim_id for claim_id in told if snapshot.claim(bytes.fromhex(claim_id)) is None]
    assert not missing


def assert_server_shows(port: int, ids: Iterable[str]) -> None:
    """Check that the service answers with every one of these claims."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        for claim_id in ids:
            connection.request("GET", f"/v1/assertion/{claim_id}")
            response = connection.getresponse()
            body = response.read()
            assert response.status == 200, f"{claim_id}: {response.status} {body!r}"
            assert json.loads(body)["hash"] == claim_id
    finally:
        connection.close()


class Writers:
    """Clients in a process of their own, which write until they are stopped and keep a ledger."""

    def __init__(self, port: int, ledger: Path, *, threads: int = 4, run: int = 0) -> None:
        """Start writing; `run` makes the claims differ from those of another run."""
        self.ledger = ledger
        command: Sequence[str] = (
            sys.executable, "-m", "tests.durability.writers", str(port), str(ledger), str(threads), str(run)
        )  # fmt: skip
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let nobody write: who checks what is there must not fall ever further behind."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def stop(self) -> dict[str, float]:
        """Let every writer finish what it is writing; return what they saw (delays in seconds)."""
        out, _ = self._process.communicate("stop\n", timeout=60)
        assert self._process.returncode == 0
        seen: dict[str, float] = json.loads(out)
        return seen

    def kill(self) -> None:
        """End them at once."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()
