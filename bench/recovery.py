"""How fast the engine writes in company, and comes back: `python -m bench.recovery [RECORDS ...]`.

Writes claims with 1, 16 and 64 writers (batch sizes, p50 and p99 of an acknowledgement, bytes a claim), then
for each number of records the seconds to open with the view, and without it. Prints a table and a line of
JSON. The default is 100,000 records; 1,000,000 need about 3 GiB of disk and some minutes.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path

from stemedb.engine import Checked, Engine, EngineSettings, Outcome, open_engine
from stemedb.limits import LOG_SEGMENT_BYTES_DEFAULT
from stemedb.log.offline import FolderLog
from stemedb.model import Assertion, ObjectKind, SignedAssertion, Signer, Value, assertion_id, canonical_bytes

RECORDS_DEFAULT = 100_000
WRITERS = (1, 16, 64)
WRITES_EACH = {1: 2000, 16: 250, 64: 80}
BULK_CLAIMS = 512
TIME_S = 1_760_000_000
SIGNER = Signer(bytes(range(32)))


def claim(number: int) -> Checked:
    """Return a signed claim of usual size; verification is not what is measured here."""
    value = Value(ObjectKind.NUMBER, float(number))
    subject = f"fda://drug/{number % 5000:05}"
    assertion = Assertion(
        subject=subject, predicate="nausea_rate", object=value, confidence=0.9, timestamp=TIME_S + number
    )
    canonical = canonical_bytes(assertion)
    signed = SignedAssertion(assertion, (SIGNER.sign(assertion_id(canonical), assertion.timestamp),))
    return Checked.of(assertion, canonical, assertion_id(canonical), signed.signatures)


def settings_in(folder: Path) -> EngineSettings:
    """Return the defaults in a folder."""
    return EngineSettings(folder / "wal", folder / "db", folder / "keys", LOG_SEGMENT_BYTES_DEFAULT)


def write_in_company(engine: Engine, writers: int, first: int) -> dict[str, float]:
    """Let so many threads write single claims; return rate, times and how large the batches were."""
    each = WRITES_EACH[writers]
    took: list[float] = []
    before = engine.log.head().seq
    claims = [[claim(first + at * each + number) for number in range(each)] for at in range(writers)]
    moments: set[int] = set()

    def write(mine: list[Checked]) -> None:
        for one in mine:
            begin = time.perf_counter()
            (outcome,) = engine.submit([one])
            took.append(time.perf_counter() - begin)
            assert isinstance(outcome, Outcome)  # noqa: S101 - a refusal would make the figure worthless

    threads = [threading.Thread(target=write, args=(mine,)) for mine in claims]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed_s = time.perf_counter() - begin
    seq, last = before + 1, 0
    while records := engine.log.read(seq, 10_000):
        for record in records:
            # Records of one batch are 1 us apart, by definition.
            if record.recorded_at != last + 1:
                moments.add(record.seq)
            last = record.recorded_at
        seq = records[-1].seq + 1
    took.sort()
    return {
        "claims_per_s": len(took) / elapsed_s,
        "batch_mean": len(took) / len(moments),
        "p50_ms": took[len(took) // 2] * 1000,
        "p99_ms": took[len(took) * 99 // 100] * 1000,
    }


def fill(engine: Engine, records: int) -> float:
    """Write in bulk until the log has so many records; return the seconds of it all."""
    begin = time.perf_counter()
    while (head := engine.log.head().seq) < records:
        engine.submit([claim(10_000_000 + head + at) for at in range(min(BULK_CLAIMS, records - head))])
    return time.perf_counter() - begin


def open_seconds(folder: Path) -> float:
    """Return how long it takes until reads and writes work."""
    begin = time.perf_counter()
    with closing(open_engine(settings_in(folder))):
        return time.perf_counter() - begin


def recover(folder: Path, records: int) -> dict[str, float]:
    """Measure starts on a folder with so many records."""
    with closing(open_engine(settings_in(folder))) as engine:
        fill_s = fill(engine, records)
        digest = engine.view.digest()
    with_view_s = open_seconds(folder)
    view_bytes = (folder / "db" / "data.mdb").stat().st_size
    shutil.rmtree(folder / "db")
    without_view_s = open_seconds(folder)
    with closing(open_engine(settings_in(folder))) as engine:
        if engine.view.digest() != digest:
            raise SystemExit("the view did not come back the same")
    return {
        "fill_s": fill_s,
        "open_with_view_s": with_view_s,
        "open_without_view_s": without_view_s,
        "replay_records_per_s": records / without_view_s,
        "view_bytes_per_claim": view_bytes / records,
    }


def log_bytes_per_claim(folder: Path) -> float:
    """Return how much of the log one claim takes, frame and all."""
    log = FolderLog(folder / "wal")
    used = sum(path.stat().st_size for path in sorted((folder / "wal").glob("*.wal"))[:-1]) + log.tail.offset
    return used / log.head.seq


def main(arguments: list[str]) -> int:
    """Measure, print a table and one line of JSON."""
    wanted = sorted(int(each) for each in arguments) or [RECORDS_DEFAULT]
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(dir=".", prefix=".bench-") as name:
        folder = Path(name)
        with closing(open_engine(settings_in(folder))) as engine:
            for at, writers in enumerate(WRITERS):
                figures[f"{writers} writers"] = write_in_company(engine, writers, at * 100_000)
        for records in wanted:
            figures[f"{records} records"] = recover(folder, records)
        figures["log"] = {"bytes_per_claim": log_bytes_per_claim(folder)}
    for title, found in figures.items():
        for key, value in found.items():
            print(f"{title:<18}{key:<24}{value:>14.3f}", flush=True)
    print(json.dumps({"bench": "recovery", **figures}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
