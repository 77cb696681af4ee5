"""What the guards cost, and what hostile clients do to others: `python -m bench guards`.

The same requests to a service with every guard on (keys, rates, meter, admission, content) and to one with
all off; the work that a new agent is asked for; and for each attack of `tests/e2e/attackers.py` a good
client's p99 against its p99 in quiet, with the peak of the service's memory.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from functools import partial

from bench._claims import NOW_S
from bench._compare import ROUNDS, Ratio, interleave, ratio, report
from bench._load import run_load
from bench._sides import Side, scratch, stemedb
from stemedb import limits
from stemedb.client import Client
from stemedb.client.signing import encode, sign
from stemedb.model import Assertion, ObjectKind, Signer, Value
from stemedb.model.keys import new_secret
from stemedb.model.keys_wire import KeyIn
from stemedb.model.work import solve
from tests.e2e.attackers import ATTACKS
from tests.e2e.measuring import measure

SIGNER = Signer(b"bench guards".ljust(32))
KEYS = 16  # so that no key's pace is what is measured
CLIENTS = 16
SECONDS = 1.0
CLAIMS = 600  # of a round
WORKS = 20
ALL_ON = {
    "STEMEDB_AUTH_ENABLED": "true",
    "STEMEDB_METER_ENABLED": "true",
    "STEMEDB_METER_QUOTA": str(limits.METER_QUOTA_MAX),
    "STEMEDB_ADMISSION_ENABLED": "true",
    "STEMEDB_CONTENT_DEFENSE_ENABLED": "true",
    "STEMEDB_TRUSTED_PROXIES": "127.0.0.1",  # rates hold for loopback, too
}


def claim_json(number: int) -> bytes:
    """Return a claim of the one agent; every `number` is another."""
    value = Value(ObjectKind.NUMBER, 1.0)
    content = Assertion(f"guard/{number // 10}", "weight", value, 0.5, NOW_S - 1 - number)
    return encode(sign(content, SIGNER))[0]


def requests_of(method: str, path: str, bodies: Sequence[bytes], secrets: Sequence[str]) -> list[bytes]:
    """Return requests, each with the next of the keys."""
    return [
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {secrets[at % len(secrets)]}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
        for at, body in enumerate(bodies)
    ]


def make_old(client: Client) -> None:
    """Make the agent an old one, which is asked for no work any more."""
    for number in range(limits.PROOF_CLAIMS_YOUNG):
        content = Assertion("guard/old", "weight", Value(ObjectKind.NUMBER, 1.0), 0.5, NOW_S - 1 - number)
        client.assert_claim(sign(content, SIGNER))


def asked(side: Side, secrets: Sequence[str], _round: int) -> float:
    """Return questions a second of one round."""
    path = "/v1/query?subject=guard/old&predicate=weight&lens=consensus"
    requests = requests_of("GET", path, [b""] * KEYS, secrets)
    return run_load(side.port, requests, clients=CLIENTS, seconds=SECONDS).per_s


def asserted(side: Side, secrets: Sequence[str], number: int) -> float:
    """Return claims a second of one round; claims of different rounds are different."""
    bodies = [claim_json(number * CLAIMS + at) for at in range(CLAIMS)]
    return run_load(side.port, requests_of("POST", "/v1/assert", bodies, secrets), clients=CLIENTS).per_s


def work_s() -> list[float]:
    """Return how long the work of a new agent takes, for some agents (seconds)."""
    taken = []
    for number in range(WORKS):
        began = time.perf_counter()
        solve(number.to_bytes(32, "big"), limits.PROOF_BITS_NEW, NOW_S)
        taken.append(time.perf_counter() - began)
    return taken


def cost() -> list[Ratio]:
    """Return what requests cost with all guards on, against all off."""
    root = new_secret()
    with (
        scratch() as folder,
        stemedb(folder / "on", **ALL_ON, STEMEDB_ROOT_API_KEY=root) as on,
        stemedb(folder / "off") as off,
    ):
        with Client(f"http://127.0.0.1:{off.port}") as client:
            make_old(client)
        with Client(f"http://127.0.0.1:{on.port}", root) as client:
            make_old(client)
            secrets = [client.create_key(KeyIn("writer", f"bench {number}")).key for number in range(KEYS)]
        found = []
        for name, rate in (("a question", asked), ("a claim", asserted)):
            taken = interleave({"all on": partial(rate, on, secrets), "all off": partial(rate, off, secrets)})
            found.append(ratio(name, taken, "all on", "all off", "requests a second"))
        return found


def attacks() -> tuple[list[Ratio], dict[str, float]]:
    """Return what each attack does to another client's p99, and the peak of the memory (MiB)."""
    found, peaks = [], {}
    with scratch() as folder, stemedb(folder) as side:
        for name in ATTACKS:
            seen = measure(side, name, ROUNDS)
            pairs = tuple(under / quiet for under, quiet in zip(seen.attack_s, seen.quiet_s, strict=True))
            title = f"p99 under {name.replace('_', ' ')}"
            found.append(
                Ratio(
                    title, seen.attack_p99_s * 1000, seen.quiet_p99_s * 1000, pairs, "milliseconds", "quiet"
                )
            )
            peaks[name] = round(seen.peak_bytes / limits.MIB, 1)
    return found, peaks


def main() -> None:
    """Measure and print."""
    works = work_s()
    costs = cost()
    under, peaks = attacks()
    work = {"median": round(statistics.median(works), 3), "max": round(max(works), 3)}
    print(f"work of {limits.PROOF_BITS_NEW} bits: {work['median']} s in the middle, {work['max']} s at most")
    print("memory at most: " + ", ".join(f"{name} {peak} MiB" for name, peak in peaks.items()))
    report("guards", [*costs, *under], work_seconds=work, peak_mib=peaks)


if __name__ == "__main__":
    main()
