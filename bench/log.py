"""How fast the log is on this machine: `python bench/log.py [FOLDER]`.

Appends with batches of 1 and 64 from one thread, bulk reading, opening again, a full verification, and the
cost of a frame without the disk. Prints a table and, as the last line, the same as JSON. The folder should be
on the disk that will hold the log; the default is a temporary one.
"""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from time import perf_counter

from stemedb.log import Draft, LocalLog, open_log
from stemedb.log.frames import chain_start, decode_frames, encode_batch
from stemedb.log.verify import verify

BODY_BYTES = 400  # about that of a signed claim
SINGLES = 5_000
BATCHES = 4_000
BATCH_RECORDS = 64
FRAMES = 4_096


def percentile(values: list[float], share: float) -> float:
    """Give the value below which this share of the values lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def append(log: LocalLog, batches: int, size: int) -> dict[str, float]:
    """Append batches one after the other, as the engine's writer thread does."""
    batch = [Draft(2, bytes(BODY_BYTES))] * size
    took: list[float] = []
    begin = perf_counter()
    for _ in range(batches):
        start = perf_counter()
        log.append(batch)
        took.append(perf_counter() - start)
    elapsed = perf_counter() - begin
    return {
        f"append_{size}_records_per_s": batches * size / elapsed,
        f"append_{size}_p50_ms": percentile(took, 0.5) * 1000,
        f"append_{size}_p99_ms": percentile(took, 0.99) * 1000,
    }


def read_all(log: LocalLog) -> dict[str, float]:
    """Read every record in bulk, as a replay does."""
    begin = perf_counter()
    seq = 1
    while records := log.read(seq, 10_000):
        seq = records[-1].seq + 1
    return {"read_records_per_s": (seq - 1) / (perf_counter() - begin)}


def frame_cost() -> dict[str, float]:
    """Encode and decode frames in memory."""
    batch = [Draft(2, bytes(BODY_BYTES))] * FRAMES
    begin = perf_counter()
    frames, _ = encode_batch(batch, 2, 1, chain_start(bytes(16)))
    middle = perf_counter()
    decode_frames(b"".join(frames), 0, 2, FRAMES + 1)
    end = perf_counter()
    return {
        "encode_us": (middle - begin) / FRAMES * 1e6,
        "decode_us": (end - middle) / FRAMES * 1e6,
    }


def measure(folder: Path) -> dict[str, float]:
    """Run all of it in an empty folder."""
    figures = frame_cost()
    with closing(open_log(folder, server_key=bytes(32))) as log:
        figures |= append(log, SINGLES, 1)
        figures |= append(log, BATCHES, BATCH_RECORDS)
        figures |= read_all(log)
        head = log.head()
        usage = log.usage()
    begin = perf_counter()
    open_log(folder, server_key=bytes(32), known_seq=head.seq).close()
    figures["open_s"] = perf_counter() - begin
    begin = perf_counter()
    report = verify(folder)
    figures["verify_records_per_s"] = report.records / (perf_counter() - begin)
    figures["records"] = head.seq
    figures["segments"] = usage.segments
    figures["bytes_per_record"] = report.bytes / report.records
    return figures


def main() -> None:
    """Measure and print."""
    parent = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        figures = measure(Path(folder))
    for name, value in figures.items():
        print(f"{name:<28} {value:>14,.3f}")
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
