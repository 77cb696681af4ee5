"""The one tree of errors: each has a stable code, an HTTP status, and a hint that says what to do next.

Every refusal that reaches a user, over HTTP or on the command line, is one of these. Nothing here
imports from the rooms, so that any room may raise them.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple, TypeVar

ErrorT = TypeVar("ErrorT", bound="StemedbError")


class Fault(NamedTuple):
    """One thing that is wrong with an input: where (a JSON pointer) and what."""

    pointer: str
    detail: str


class StemedbError(Exception):
    """Base of all refusals.

    `detail` says what is wrong in this case; `code` is stable and documented; `status` is the HTTP
    status; `hint` says what to do next; `retry_after_s` is set where waiting may help.
    """

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Unexpected error"
    default_hint: ClassVar[str] = "Report it with the request id."

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        hint: str | None = None,
        faults: tuple[Fault, ...] = (),
        retry_after_s: int | None = None,
    ) -> None:
        """Keep what a reply needs; `code` narrows the class's own code."""
        super().__init__(detail)
        self.detail = detail
        self.reason = code or self.code
        self.hint = hint or self.default_hint
        self.faults = faults
        self.retry_after_s = retry_after_s

    @classmethod
    def at(  # noqa: PYI019  (Self came with Python 3.11)
        cls: type[ErrorT], pointer: str, detail: str, *, code: str = "validation", hint: str | None = None
    ) -> ErrorT:
        """Return the refusal of one field or parameter, named by a JSON pointer."""
        return cls(f"{pointer}: {detail}", code=code, hint=hint, faults=(Fault(pointer, detail),))


class Invalid(StemedbError):
    """The input is malformed or out of range (400)."""

    code = "invalid"
    status = 400
    title = "Invalid input"
    default_hint = "Correct the input and send it again."


class Unauthorized(StemedbError):
    """No key, or one the server does not know (401)."""

    code = "unauthorized"
    status = 401
    title = "Unauthorized"
    default_hint = "Send a valid key in X-API-Key."


class Forbidden(StemedbError):
    """The key's role does not allow it (403)."""

    code = "forbidden"
    status = 403
    title = "Forbidden"
    default_hint = "Use a key with a role that allows this."


class NotFound(StemedbError):
    """No such thing (404)."""

    code = "not_found"
    status = 404
    title = "Not found"
    default_hint = "Check the id or the path."


class MethodNotAllowed(StemedbError):
    """The path exists, the method does not (405)."""

    code = "method_not_allowed"
    status = 405
    title = "Method not allowed"
    default_hint = "See /openapi.json for the methods of this path."


class TooSlow(StemedbError):
    """The request did not arrive in time (408)."""

    code = "request_timeout"
    status = 408
    title = "Request timeout"
    default_hint = "Send the request faster or in smaller pieces."


class Conflict(StemedbError):
    """The state of the thing does not allow it (409)."""

    code = "conflict"
    status = 409
    title = "Conflict"
    default_hint = "Read the current state first."


class Gone(StemedbError):
    """It was here and was erased (410)."""

    code = "erased"
    status = 410
    title = "Erased"
    default_hint = "Erased content cannot be read or written again."


class LengthRequired(StemedbError):
    """A body came without its length (411)."""

    code = "length_required"
    status = 411
    title = "Length required"
    default_hint = "Send Content-Length."


class TooLarge(StemedbError):
    """The body is over its limit (413)."""

    code = "too_large"
    status = 413
    title = "Content too large"
    default_hint = "Split it, or use /v1/assert/bulk."


class UriTooLong(StemedbError):
    """The request line is over its limit (414)."""

    code = "uri_too_long"
    status = 414
    title = "URI too long"
    default_hint = "Use fewer or shorter parameters."


class UnsupportedMediaType(StemedbError):
    """The body is of a type this path does not read (415)."""

    code = "unsupported_media_type"
    status = 415
    title = "Unsupported media type"
    default_hint = "Send the media type that /openapi.json names for this path."


class Unprocessable(StemedbError):
    """Well formed, but not true: a signature that does not verify, a question too large (422)."""

    code = "unprocessable"
    status = 422
    title = "Unprocessable content"
    default_hint = "Sign the id of exactly this content with the agent's own key."


class Work(NamedTuple):
    """The work that is asked for: leading zero bits, for which agent (hex), and how old it may be."""

    difficulty_bits: int
    agent_id: str
    max_age_s: int


class ProofRequired(StemedbError):
    """Proof of work is required (428); `work` says how much, where that is known."""

    code = "proof_of_work_required"
    status = 428
    title = "Proof of work required"
    default_hint = "Solve the puzzle in the body and send X-PoW-Nonce and X-PoW-Timestamp."
    work: Work | None = None


class QuotaExceeded(StemedbError):
    """A rate limit, a quota or a breaker (429)."""

    code = "quota_exceeded"
    status = 429
    title = "Too many requests"
    default_hint = "Wait as long as Retry-After says."


class HeadersTooLarge(StemedbError):
    """The headers are over their limit (431)."""

    code = "headers_too_large"
    status = 431
    title = "Request header fields too large"
    default_hint = "Send fewer or shorter headers."


class Unavailable(StemedbError):
    """Not now: draining, replaying, queue full, disk floor reached (503)."""

    code = "unavailable"
    status = 503
    title = "Service unavailable"
    default_hint = "Try again as Retry-After says."


class QueryTimeout(StemedbError):
    """The question ran past its time limit (504)."""

    code = "query_timeout"
    status = 504
    title = "Query timeout"
    default_hint = "Narrow the question."


class Locked(StemedbError):
    """Another process holds the data folder, or the port (exit status 75)."""

    code = "locked"
    status = 503
    title = "In use"
    default_hint = "Stop the other process first."


class BadSettings(StemedbError):
    """The configuration cannot be used (exit status 78)."""

    code = "bad_settings"
    title = "Bad configuration"
    default_hint = "Correct the setting and start again."


class Corrupt(StemedbError):
    """Stored bytes are not what was written: the process stops (exit status 65).

    `ways_out` are printed one a line for the operator.
    """

    code = "corrupt"
    title = "Corrupt data"
    default_hint = "Restore from a backup."

    def __init__(self, detail: str, *, code: str | None = None, ways_out: tuple[str, ...] = ()) -> None:
        """Keep the ways out beside the detail."""
        super().__init__(detail, code=code, hint="; ".join(ways_out) or None)
        self.ways_out = ways_out


class StorageFailed(StemedbError):
    """A write or sync of the log failed: nothing may be acknowledged any more, the process ends."""

    code = "storage_failed"
    status = 503
    title = "Storage failed"
    default_hint = "Look at the disk; start again when it works. Nothing acknowledged was lost."
