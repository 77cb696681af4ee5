"""Between a request and the WSGI application: replies at once, and replies that come later."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from cheroot.wsgi import Gateway_10

from stemedb.api.later import LaterBody

if TYPE_CHECKING:
    from stemedb.api.connection import Request


class Gateway(Gateway_10):
    """Calls the application, and sends what it returns as soon as that takes no waiting."""

    req: Request

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Any:  # noqa: ANN401 - what cheroot returns
        """Begin the reply (WSGI), without what cheroot checks of each header of whatever application."""
        if self.started_response:
            return super().start_response(status, headers, exc_info)
        self.started_response = True
        self.req.status = status.encode("latin-1")  # type: ignore[assignment]  # bytes once it is known
        for name, value in headers:
            if name == "Content-Length":
                self.remaining_bytes_out = int(value)
            self.req.outheaders.append((name.encode("latin-1"), value.encode("latin-1")))
        return self.write

    def respond(self) -> None:
        """Answer, or leave the answer with the connection, which then comes back to `finish`."""
        reply = self.req.server.wsgi_app(self.env, self.start_response)
        if isinstance(reply, LaterBody) and self.req.server.laters.add():
            self.req.conn.unfinished = Unfinished(self, reply)
        else:
            self.finish(reply)

    def finish(self, reply: Iterable[bytes]) -> None:
        """Send a reply, waiting for what it waits for."""
        try:
            for block in reply:
                if block:
                    self.write(block)
        finally:
            self.req.ensure_headers_sent()
            if close := getattr(reply, "close", None):
                close()


class Unfinished:
    """A reply that comes later, and who sends it."""

    def __init__(self, gateway: Gateway, reply: LaterBody) -> None:
        """Nothing of it has been sent."""
        self.request = gateway.req
        self._gateway = gateway
        self.reply = reply

    def finish(self) -> None:
        """Send it, once it is ready."""
        self._gateway.finish(self.reply)
