"""What every method of the client stands on: a connection, decoding, checking, and where in the log it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import msgspec

from stemedb import limits
from stemedb.client.problems import error_of
from stemedb.client.transport import Reply, Request, Transport
from stemedb.client.verify import verify_claim
from stemedb.errors import Invalid, ProofRequired, StemedbError, Unprocessable, Work
from stemedb.model.work import solve

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stemedb.model.replies import ClaimOut

T = TypeVar("T")
OnWork = Callable[[int, int], None]
Params = tuple[tuple[str, str], ...]

_REDIRECT = 300
_ID_DIGITS = 64


class Connected:
    """A connection to one server, and what is true of all that goes over it."""

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        timeout_s: float = limits.CLIENT_TIMEOUT_S,
        patience_s: float = limits.CLIENT_PATIENCE_S,
        verify: bool = True,
        on_work: OnWork = lambda _tried, _expected: None,
    ) -> None:
        """Prepare a connection to `url`; nothing is sent yet. Raises `Invalid` for what is no address.

        `on_work` hears of work that the server asks for: nonces tried, and how many that takes on average.
        """
        self._transport = Transport(url, api_key=api_key, timeout_s=timeout_s, patience_s=patience_s)
        self._timeout_s = timeout_s
        self._patience_s = patience_s
        self._verify = verify
        self._on_work = on_work
        self._position = 0

    @property
    def url(self) -> str:
        """The server's address."""
        return self._transport.url

    @property
    def position(self) -> int:
        """The position in the log of the last change that this client made or was told of; 0 for none."""
        return self._position

    def reach(self, position: int) -> None:
        """Let every later read see at least `position`: that of another client's write, handed over.

        A client's own writes are in all its later reads anyway. A read waits until the server has got
        there; where it does not, `Unavailable` (`not_yet_visible`) is raised.
        """
        self._position = max(self._position, position)

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def _get(self, path: str, kind: type[T], params: Params = ()) -> T:
        headers = (("Stemedb-Min-Seq", str(self._position)),) if self._position else ()
        return self._read(Request("GET", path, params, headers=headers), kind)

    def _write(self, path: str, body: object, kind: type[T], *, method: str = "POST") -> T:
        """Send a statement and keep its position. Sending it twice is harmless: it has an id of its own."""
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        request = Request(method, path, body=content)
        try:
            reply = self._checked(request)
        except ProofRequired as error:
            if error.work is None or error.work.difficulty_bits > limits.CLIENT_WORK_BITS_MAX:
                raise
            reply = self._checked(request._replace(headers=self._worked(error.work)))
        self._keep_position(reply)
        return decoded(reply, kind)

    def _worked(self, work: Work) -> Params:
        """Do the work that the server asks for; return the headers that show it."""
        expected = 1 << work.difficulty_bits
        agent_id = bytes.fromhex(require_id(work.agent_id, "agent id"))
        proof = solve(
            agent_id, work.difficulty_bits, int(time.time()), lambda tried: self._on_work(tried, expected)
        )
        self._on_work(expected, expected)
        return (("X-PoW-Nonce", str(proof.nonce)), ("X-PoW-Timestamp", str(proof.timestamp)))

    def _keep_position(self, reply: Reply) -> None:
        seq = reply.headers.get("Stemedb-Seq", "")
        if seq.isascii() and seq.isdigit():
            self.reach(int(seq))

    def _read(self, request: Request, kind: type[T]) -> T:
        return decoded(self._checked(request), kind)

    def _checked(self, request: Request) -> Reply:
        return accepted(self._transport.send(request))

    def _check(self, claims: Iterable[ClaimOut]) -> None:
        if self._verify:
            for claim in claims:
                verify_claim(claim)

    def _expect(self, wanted: str, given: str, done: str) -> None:
        """Raise `Unprocessable` where the server speaks of another id than was meant."""
        if wanted != given:
            raise Unprocessable(
                f"the server {done} {given} instead of {wanted}",
                code="reply_unverified",
                hint="Do not trust this server.",
            )


def require_id(text: str, what: str = "claim id") -> str:
    """Return `text`; raises `Invalid` unless it is 64 lower-case hex digits (and so safe in a path)."""
    if len(text) != _ID_DIGITS or not set(text) <= set("0123456789abcdef"):
        raise Invalid(f"{text!r} is no {what}", hint="An id is 64 lower-case hex digits.")
    return text


def accepted(reply: Reply) -> Reply:
    """Return a reply that is no error; raises the error that it is otherwise (redirects included)."""
    if reply.status >= _REDIRECT:
        raise error_of(reply)
    return reply


def decoded(reply: Reply, kind: type[T]) -> T:
    """Return what a reply says; raises `StemedbError` (`reply_unreadable`) if that is not a `kind`."""
    try:
        return msgspec.json.decode(reply.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StemedbError(
            f"the server's reply cannot be read: {error}",
            code="reply_unreadable",
            hint="Is this a stemedb server of the same version?",
        ) from error
