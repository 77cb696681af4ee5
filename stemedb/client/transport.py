"""One kept connection, and the rule for trying again.

Ids are content-addressed, so sending a claim twice is harmless: every request here may be repeated when the
connection broke before the reply, or when the server said 503. Tries end after `patience_s`.
"""

from __future__ import annotations

import ssl
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPSConnection
from random import SystemRandom
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode, urlsplit

from stemedb import __version__, limits
from stemedb.errors import Invalid, TooLarge, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

UNREACHABLE = "unreachable"
_STATUS_UNAVAILABLE = 503
_random = SystemRandom()


class Reply(NamedTuple):
    """What came back: status, headers (any case) and the whole body."""

    status: int
    headers: HTTPMessage
    body: bytes


class Request(NamedTuple):
    """What goes out. `repeat` says whether it may be tried again at all."""

    method: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    content_type: str = "application/json"
    repeat: bool = True
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def target(self) -> str:
        """The path with its query string."""
        return f"{self.path}?{urlencode(self.params)}" if self.params else self.path


class Transport:
    """Sends requests over one keep-alive connection that is opened when first needed.

    `timeout_s` bounds each wait on the connection, `patience_s` all tries of one request together.
    """

    def __init__(self, url: str, *, api_key: str | None, timeout_s: float, patience_s: float) -> None:
        """Read `url` (http or https, host, optional port and base path); raises `Invalid` for others."""
        self.url = url.rstrip("/")
        self._patience_s = patience_s
        self._connection, self._base_path = _connection(self.url, timeout_s)
        self._headers = {"User-Agent": f"stemedb-client/{__version__}", "Accept": "application/json"}
        if api_key is not None:
            if not api_key.isascii() or not api_key.isprintable():
                raise Invalid("the API key holds characters that no key has", code="bad_api_key")
            self._headers["X-API-Key"] = api_key

    def close(self) -> None:
        """Close the connection; a later request would open a new one."""
        self._connection.close()

    def send(self, request: Request) -> Reply:
        """Return the server's reply, whatever its status; raises `Unavailable` if there is none."""
        deadline_s = time.monotonic() + (self._patience_s if request.repeat else 0.0)
        pauses_s = _pauses()
        while True:
            fresh = self._connection.sock is None
            try:
                reply = self._send_once(request)
            except (OSError, HTTPException) as error:
                self.close()
                # A kept connection may have been closed by the server while it lay idle: that is no
                # failure of the request, so it is tried once more without waiting.
                pause_s = next(pauses_s) if fresh else 0.0
                hopeless = isinstance(error, ssl.SSLCertVerificationError)
                if hopeless or not request.repeat or time.monotonic() + pause_s > deadline_s:
                    raise self._unreachable(error) from error
            else:
                if reply.status != _STATUS_UNAVAILABLE:
                    return reply
                pause_s = max(next(pauses_s), retry_after_s(reply.headers) or 0)
                if time.monotonic() + pause_s > deadline_s:
                    return reply
            time.sleep(pause_s)

    def _send_once(self, request: Request) -> Reply:
        headers = {**self._headers, **dict(request.headers)}
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        # A server that refuses (413, 503) may answer and close before it has read the whole body: its answer
        # says more than the broken pipe. If there is none, getresponse raises instead.
        with suppress(BrokenPipeError, ConnectionResetError):
            self._connection.request(request.method, self._base_path + request.target, request.body, headers)
        with self._connection.getresponse() as response:
            body = response.read(limits.CLIENT_REPLY_BYTES_MAX + 1)
            if len(body) > limits.CLIENT_REPLY_BYTES_MAX:
                self.close()
                raise TooLarge(
                    f"the reply is longer than {limits.CLIENT_REPLY_BYTES_MAX} bytes",
                    hint="Ask for a smaller page.",
                )
            return Reply(response.status, response.headers, body)

    def _unreachable(self, error: Exception) -> Unavailable:
        what = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return Unavailable(
            f"no answer from {self.url}: {what}",
            code=UNREACHABLE,
            hint="Is the server running, and is the address right (--url or STEMEDB_URL)?",
        )


def retry_after_s(headers: HTTPMessage) -> int | None:
    """Return the whole seconds that Retry-After names, if it does."""
    text = headers.get("Retry-After", "")
    return int(text) if text.isascii() and text.isdigit() else None


def _pauses() -> Iterator[float]:
    """Yield growing pauses in seconds, each jittered so that many clients do not return together."""
    pause_s = limits.CLIENT_BACKOFF_S
    while True:
        yield pause_s * _random.uniform(0.5, 1.5)
        pause_s = min(2 * pause_s, limits.CLIENT_BACKOFF_S_MAX)


def _connection(url: str, timeout_s: float) -> tuple[HTTPConnection, str]:
    """Return an unopened connection to `url` and its base path."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise Invalid(f"{url!r} is no address: {error}", code="bad_url") from error
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment or parts.username:
        raise Invalid(
            f"{url!r} is no address of a server", code="bad_url", hint="Use http://HOST:PORT or https://HOST."
        )
    if parts.scheme == "https":
        return HTTPSConnection(
            host, port, timeout=timeout_s, context=ssl.create_default_context()
        ), parts.path
    return HTTPConnection(host, port, timeout=timeout_s), parts.path
