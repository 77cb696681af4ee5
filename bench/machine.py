"""What this machine can do at all: the costs below every claim, without any of our own code.

A figure of the service means something only beside these: a durable write cannot be quicker than the
disk's sync, an assert not quicker than a signature check.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from blake3 import blake3
from nacl.signing import SigningKey

if TYPE_CHECKING:
    from collections.abc import Callable

SYNC_ROUNDS = 200
SYNC_BYTES = 4096
FILE_BYTES = 8 * 1024 * 1024
CPU_ROUNDS = 2000
CLAIM_BYTES = 300


def times_us(work: Callable[[], object], rounds: int) -> list[float]:
    """Return how long each of `rounds` calls took, in microseconds."""
    taken = []
    for _ in range(rounds):
        started = time.perf_counter_ns()
        work()
        taken.append((time.perf_counter_ns() - started) / 1000)
    return taken


def sync_times_us(folder: Path) -> list[float]:
    """Write a block into a file of written zeros and sync it, as the log does; microseconds each."""
    path = folder / "probe"
    path.write_bytes(bytes(FILE_BYTES))
    handle = os.open(path, os.O_WRONLY)
    try:
        os.fsync(handle)
        block = os.urandom(SYNC_BYTES)
        offsets = iter(range(0, SYNC_ROUNDS * SYNC_BYTES, SYNC_BYTES))

        def write_and_sync() -> None:
            os.pwrite(handle, block, next(offsets))
            os.fdatasync(handle)

        return times_us(write_and_sync, SYNC_ROUNDS)
    finally:
        os.close(handle)


def main() -> int:
    """Measure beside the data folder's disk, print a table and one line of JSON."""
    with tempfile.TemporaryDirectory(dir=".", prefix=".bench-") as folder:
        syncs = sync_times_us(Path(folder))
    key = SigningKey(bytes(32))
    message = bytes(CLAIM_BYTES)
    signature = key.sign(message).signature
    rows = {
        "write 4 KiB + fdatasync": syncs,
        "Ed25519 sign": times_us(lambda: key.sign(message), CPU_ROUNDS),
        "Ed25519 verify": times_us(lambda: key.verify_key.verify(message, signature), CPU_ROUNDS),
        "BLAKE3 of 300 bytes": times_us(lambda: blake3(message).digest(), CPU_ROUNDS),
    }
    figures = {}
    print(f"{'':<26}{'median':>10}{'p99':>10}   microseconds")
    for name, taken in rows.items():
        median = statistics.median(taken)
        p99 = statistics.quantiles(taken, n=100)[98]
        print(f"{name:<26}{median:>10.1f}{p99:>10.1f}")
        figures[name] = {"median_us": round(median, 1), "p99_us": round(p99, 1)}
    print(
        json.dumps({"bench": "machine", "python": sys.version.split()[0], "cpus": os.cpu_count(), **figures})
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
