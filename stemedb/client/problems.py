"""problem+json replies, back into the one tree of errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from stemedb import errors
from stemedb.client.transport import retry_after_s
from stemedb.errors import Fault, Invalid, ProofRequired, StemedbError, Work

if TYPE_CHECKING:
    from stemedb.client.transport import Reply

_BY_STATUS: dict[int, type[StemedbError]] = {
    kind.status: kind
    for kind in (
        errors.Invalid,
        errors.Unauthorized,
        errors.Forbidden,
        errors.NotFound,
        errors.MethodNotAllowed,
        errors.TooSlow,
        errors.Conflict,
        errors.Gone,
        errors.LengthRequired,
        errors.TooLarge,
        errors.UriTooLong,
        errors.UnsupportedMediaType,
        errors.Unprocessable,
        errors.ProofRequired,
        errors.QuotaExceeded,
        errors.HeadersTooLarge,
        errors.Unavailable,
        errors.QueryTimeout,
    )
}
_CLIENT_ERRORS = range(400, 500)


class FaultIn(msgspec.Struct, frozen=True):
    """One entry of a problem's `errors`."""

    pointer: str = ""
    detail: str = ""


class Problem(msgspec.Struct, frozen=True):
    """The fields of a problem that a client acts on (RFC 9457 and api.md "Errors")."""

    status: int
    title: str = ""
    detail: str = ""
    instance: str = ""
    code: str = ""
    hint: str = ""
    errors: tuple[FaultIn, ...] = ()
    difficulty_bits: int | None = None
    agent_id: str | None = None
    max_age_s: int | None = None

    def as_error(self, after_s: int | None = None) -> StemedbError:
        """Return the error of the tree that this problem is."""
        kind = _BY_STATUS.get(self.status) or (Invalid if self.status in _CLIENT_ERRORS else StemedbError)
        hint = self.hint or None
        if kind is StemedbError and self.instance:
            hint = f"Report it with the request id {self.instance}."
        error = kind(
            self.detail or self.title or f"the server answered {self.status}",
            code=self.code or None,
            hint=hint,
            faults=tuple(Fault(each.pointer, each.detail) for each in self.errors),
            retry_after_s=after_s,
        )
        if isinstance(error, ProofRequired):
            error.work = self._work()
        return error

    def _work(self) -> Work | None:
        """Return the work that a 428 asks for, where it says that."""
        if self.difficulty_bits is None or self.agent_id is None:
            return None
        return Work(self.difficulty_bits, self.agent_id, self.max_age_s or 0)


def error_of(reply: Reply) -> StemedbError:
    """Return the error that a reply of status 300 or more stands for, whoever wrote it."""
    try:
        problem = msgspec.json.decode(reply.body, type=Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # A proxy in between, or not a stemedb server at all: its page is of no use to anybody.
        problem = Problem(
            status=reply.status,
            detail=f"the server answered {reply.status} without saying why",
            code="not_a_problem",
            hint="Is this the address of a stemedb server?",
        )
    return problem.as_error(retry_after_s(reply.headers))
