"""Claims and requests to measure with: made from a seed, the same in every run."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Final

from stemedb.client.signing import encode, sign
from stemedb.engine import Checked
from stemedb.engine.claims import take_claim
from stemedb.engine.verifiers import verify_here
from stemedb.model import Assertion, ObjectKind, SignedAssertion, Signer, Tier, Value

SIGNERS: Final = tuple(Signer(bytes([number]) * 32) for number in range(1, 33))
PREDICATE: Final = "nausea_rate"
_VALUES: Final = 5
_DAY_S: Final = 86_400
_HOST: Final = "127.0.0.1"

# Fixed for one process and all that it starts: ages, and so effective confidences, differ by seconds only.
NOW_S: Final = int(time.time()) // _DAY_S * _DAY_S


def claim_json(number: int, subject: str, *, signed: bool = True) -> bytes:
    """Return a claim as a client sends it; every `number` is another claim."""
    content = Assertion(
        subject=subject,
        predicate=PREDICATE,
        object=Value(ObjectKind.NUMBER, float(number % _VALUES)),
        confidence=0.5 + (number * 7919 % 500) / 1000,
        timestamp=NOW_S - 1 - number,
        source_class=Tier(number % len(Tier)),
    )
    return encode(sign(content, *SIGNERS[number % len(SIGNERS) :][: int(signed)]))[0]


def spread(first: int, count: int, *, each: int = 10, signed: bool = True) -> Iterator[bytes]:
    """Yield `count` claims, `each` about one subject."""
    for number in range(first, first + count):
        yield claim_json(number, f"fda://drug/{number // each:07}", signed=signed)


def post(path: str, body: bytes, content_type: str = "application/json") -> bytes:
    """Return the bytes of a POST on a connection that is kept."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {_HOST}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def get(path: str) -> bytes:
    """Return the bytes of a GET on a connection that is kept."""
    return f"GET {path} HTTP/1.1\r\nHost: {_HOST}\r\n\r\n".encode()


def asserts(first: int, count: int) -> list[bytes]:
    """Return `count` requests of `POST /v1/assert`."""
    return [post("/v1/assert", body) for body in spread(first, count)]


def bulks(first: int, lines: int, count: int, *, signed: bool = True) -> list[bytes]:
    """Return `count` bulk requests of so many lines."""
    return [
        post(
            "/v1/assert/bulk",
            b"\n".join(spread(first + at * lines, lines, signed=signed)) + b"\n",
            "application/x-ndjson",
        )
        for at in range(count)
    ]


def questions(path: str, subjects: Sequence[str]) -> list[bytes]:
    """Return one request of `path` a subject; `path` has its other parameters already."""
    joint = "&" if "?" in path else "?"
    return [get(f"{path}{joint}subject={subject}&predicate={PREDICATE}") for subject in subjects]


def new_questions(path: str, subjects: Sequence[str], count: int, number: int) -> list[bytes]:
    """Return `count` requests about `subjects` in turn that are all different, for each `number` others.

    They differ in a bound that every claim is above, so that no answer can be one that is remembered.
    """
    joint = "&" if "?" in path else "?"
    return [
        get(
            f"{path}{joint}subject={subjects[at % len(subjects)]}&predicate={PREDICATE}"
            f"&min_confidence={(number * count + at) * 1e-9:.9f}"
        )
        for at in range(count)
    ]


def checked(claim: SignedAssertion) -> Checked:
    """Return a claim as it is when it may be written."""
    taken = take_claim(claim, None, unsigned_allowed=True)
    return taken.verified(verify_here(taken.signed))
