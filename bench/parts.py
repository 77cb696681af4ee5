"""What one signed durable claim is made of: `python -m bench parts`.

`POST /v1/assert` at 64 clients against the same requests answered with a constant: with the data on the disk,
with the data in memory (what the syncs cost is then left out), and as processor time of the server a request.
Beside them the constant that is given after each claim was decoded, hashed and verified by the thread that
read it, and kept nowhere. Then what cannot be left out, each alone on one thread: verifying (which the
service leaves to processes beside it), the rest of checking, deciding with the append and the fold in batches
of 32, and the two syncs of a batch.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter, thread_time

from bench._claims import asserts, checked, spread
from bench._compare import ROUNDS, Ratio, interleave, ratio, report
from bench._load import run_load
from bench._rawpath import check
from bench._sides import Side, noop, scratch, stemedb
from stemedb import limits
from stemedb.api.claims import assertion_decoder
from stemedb.engine import EngineSettings, open_engine
from stemedb.engine.shapes import assertion_from_wire
from stemedb.model import assertion_id, canonical_bytes, verify_signature

CLIENTS = 64
REQUESTS = 3000
CLAIMS = 2048
BATCH = 32
SYNCS = 100
MEMORY = Path("/dev/shm")  # noqa: S108 - what is measured is that it is memory
_US = 1e6
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Meter:
    """Loads one server and notes what processor time that took it."""

    def __init__(self, side: Side) -> None:
        """Look at `side`."""
        self.side = side
        self.cpu_us: list[float] = []

    def rate(self, number: int) -> float:
        """Return requests a second of one round; claims of different rounds are different."""
        requests = asserts(number * REQUESTS, REQUESTS)
        before = self._cpu_s()
        per_s = run_load(self.side.port, requests, clients=CLIENTS).per_s
        self.cpu_us.append((self._cpu_s() - before) / REQUESTS * _US)
        return per_s

    def _cpu_s(self) -> float:
        fields = Path(f"/proc/{self.side.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def compared(folder: Path, memory: Path) -> list[Ratio]:
    """Return the rates and the processor time against the no-op's."""
    with stemedb(folder) as disk, stemedb(memory) as quick, noop() as base, noop(checks=True) as checking:
        sides = {"on the disk": disk, "in memory": quick, "verified and forgotten": checking, "no-op": base}
        meters = {name: Meter(side) for name, side in sides.items()}
        taken = interleave({name: meter.rate for name, meter in meters.items()})
    found = [ratio(name, taken, name, "no-op", "requests a second") for name in list(sides)[:-1]]
    spent = {name: tuple(meter.cpu_us[1:]) for name, meter in meters.items()}
    found.append(ratio("processor time", spent, "on the disk", "no-op", "microseconds a request"))
    return found


def parts_us(folder: Path) -> dict[str, float]:
    """Return what each part takes, in microseconds of one thread's processor time a claim."""
    lines = list(spread(0, CLAIMS))
    signed = [assertion_from_wire(assertion_decoder.decode(line)) for line in lines]
    ids = [assertion_id(canonical_bytes(each.assertion)) for each in signed]
    verify, all_checks = _least_us(
        lambda: [verify_signature(at, each.signatures[0]) for at, each in zip(ids, signed, strict=True)],
        lambda: [check(line) for line in lines],
    )
    return {
        "verify": verify,
        "decode, check, hash": all_checks - verify,
        "decide, append, fold": _committing_us(folder, lines),
        "two syncs of a batch, waited for": 2 * _sync_us(folder),
    }


def _least_us(*works: Callable[[], object]) -> list[float]:
    """Return the least processor time of each work a claim, of rounds in turn: the machine may be busy."""
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for times, work in zip(taken, works, strict=True):
            began = thread_time()
            work()
            times.append((thread_time() - began) / CLAIMS * _US)
    return [min(times) for times in taken]


def _committing_us(folder: Path, lines: Sequence[bytes]) -> float:
    """Return the processor time of the writer a claim: everything of the process but checking."""
    settings = EngineSettings(folder / "w", folder / "d", folder / "k", limits.LOG_SEGMENT_BYTES_DEFAULT, 1)
    engine = open_engine(settings)
    claims = [checked(assertion_from_wire(assertion_decoder.decode(line))) for line in lines]
    taken = []
    for first in range(0, CLAIMS, BATCH):
        before = os.times()
        engine.submit(claims[first : first + BATCH])
        after = os.times()
        taken.append(after.user + after.system - before.user - before.system)
    engine.close()
    return sum(taken) / CLAIMS * _US


def _sync_us(folder: Path) -> float:
    """Return how long one sync of a small write takes on this disk."""
    fd = os.open(folder / "probe", os.O_CREAT | os.O_RDWR, 0o600)
    os.pwrite(fd, bytes(limits.MIB), 0)
    os.fsync(fd)
    taken = []
    for at in range(SYNCS):
        os.pwrite(fd, bytes([at + 1]) * 8192, at * 8192 % limits.MIB)
        began = perf_counter()
        os.fdatasync(fd)
        taken.append((perf_counter() - began) * _US)
    os.close(fd)
    return median(taken)


def main() -> None:
    """Measure and print."""
    with scratch() as folder, tempfile.TemporaryDirectory(dir=MEMORY, prefix="stemedb-bench-") as memory:
        found = compared(folder / "s", Path(memory))
        parts = parts_us(folder)
    for name, taken in parts.items():
        print(f"{name}: {taken:.0f} us")
    report("parts", found, parts_us={name: round(taken, 1) for name, taken in parts.items()})


if __name__ == "__main__":
    main()
