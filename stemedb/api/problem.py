"""Refusals as RFC 9457 problem documents: the one shape of every error this service sends."""

from __future__ import annotations

import random
import re
from http.client import responses
from typing import Final

import msgspec

from stemedb import limits
from stemedb.errors import Fault, Invalid, ProofRequired, StemedbError, Unauthorized

_REQUEST_ID_BITS: Final = 128
SAFE_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""What every reply tells browsers, whatever made it."""

MEDIA_TYPE: Final = "application/problem+json"

_REQUEST_ID: Final = re.compile(rf"[A-Za-z0-9._:/+=@-]{{1,{limits.REQUEST_ID_CHARS_MAX}}}\Z")
_chance: Final = random.Random()  # noqa: S311 - seeded by the system; no secret
_encoder = msgspec.json.Encoder()


class FaultOut(msgspec.Struct, frozen=True):
    """One thing that is wrong with an input: where (a JSON pointer) and what."""

    pointer: str
    detail: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 9457, with a stable `code`, a `hint` that says what to do, and the faults of a validation.

    The last three are of 428: the work that is asked for.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    hint: str
    instance: str = ""
    errors: list[FaultOut] = []
    difficulty_bits: int | None = None
    agent_id: str | None = None
    max_age_s: int | None = None


def request_id(given: str | None) -> str:
    """Return the client's own request id if it is fit to be repeated in headers and logs, else a new one."""
    if given and _REQUEST_ID.match(given):
        return given
    # Told apart is all that they must be. Asking the system for each would let go of the interpreter, and
    # getting that back takes longer than all else that is done here.
    return f"{_chance.getrandbits(_REQUEST_ID_BITS):032x}"


def problem(error: StemedbError, instance: str = "") -> Problem:
    """Return `error` as a problem document; `instance` is the request id."""
    work = error.work if isinstance(error, ProofRequired) else None
    return Problem(
        type=f"urn:stemedb:problem:{error.reason}",
        title=error.title,
        status=error.status,
        detail=error.detail,
        code=error.reason,
        hint=error.hint,
        instance=instance,
        errors=[FaultOut(fault.pointer, fault.detail) for fault in error.faults],
        difficulty_bits=work.difficulty_bits if work else None,
        agent_id=work.agent_id if work else None,
        max_age_s=work.max_age_s if work else None,
    )


def body_of(error: StemedbError, instance: str) -> bytes:
    """Return the JSON of `error`."""
    return _encoder.encode(problem(error, instance))


def headers_of(error: StemedbError) -> dict[str, str]:
    """Return the headers that belong to `error` whatever carries it."""
    headers = {"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store"}
    if error.retry_after_s is not None or error.status in (429, 503):
        headers["Retry-After"] = str(error.retry_after_s or limits.RETRY_AFTER_S)
    if error.status == Unauthorized.status:
        headers["WWW-Authenticate"] = 'Bearer realm="stemedb"'
    return headers


def raw_reply(error: StemedbError, instance: str) -> bytes:
    """Return a whole HTTP reply that refuses and closes: for requests that never reach the application."""
    body = body_of(error, instance)
    headers = (
        SAFE_HEADERS
        | headers_of(error)
        | {
            "Content-Length": str(len(body)),
            "X-Request-Id": instance,
            "Connection": "close",
        }
    )
    lines = [f"HTTP/1.1 {error.status} {responses[error.status]}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def from_validation(error: msgspec.ValidationError) -> Invalid:
    """Return what msgspec found wrong with a decoded body, with a JSON pointer instead of its `$.a[0]`."""
    detail, _, path = str(error).partition(" - at `")
    # `[...]` stands for some entry of an object whose keys msgspec does not name.
    names = re.findall(r"\.([^.\[`]+)|\[(\d+)\]", path.replace("[...]", ""))
    pointer = "".join(f"/{name or index}" for name, index in names)
    return Invalid(f"{pointer or '/'}: {detail}", code="validation", faults=(Fault(pointer, detail),))
