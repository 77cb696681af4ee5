"""The ceiling of everything behind HTTP: the service's own server and bottle, answering a constant.

`python -m bench._noop PORT [checks]`: with `checks`, claims are decoded, hashed and verified before that.
"""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING

import bottle

from bench._rawpath import check
from stemedb import limits
from stemedb.api.processor import settle
from stemedb.api.server import Server

if TYPE_CHECKING:
    from stemedb.errors import StemedbError

ANSWER = b'{"hash":"' + b"0" * 64 + b'","seq":1,"status":"created"}'


class Silent:
    """Watches a server and says nothing, but for what would make a figure worthless."""

    def refused(self, error: StemedbError, _request_id: str, _client: str) -> None:
        """Say that a request was refused."""
        print(error, file=sys.stderr, flush=True)

    def trouble(self, message: str, _level: int) -> None:
        """Say that the server is in trouble."""
        print(message, file=sys.stderr, flush=True)


def serve(app: bottle.Bottle, port: int) -> None:
    """Answer with `app` until the process is ended, on one processor, as the service does."""
    settle()
    listener = socket.create_server(("127.0.0.1", port), backlog=limits.LISTEN_QUEUE_MAX)
    Server(listener, app, Silent(), adopted=False).serve()


def constant() -> bottle.HTTPResponse:
    """Answer."""
    return bottle.HTTPResponse(ANSWER, 200, {"Content-Type": "application/json"})


def checked() -> bottle.HTTPResponse:
    """Do what must be done before a claim may be kept, and answer."""
    check(bottle.request.body.read())
    return constant()


def main() -> None:
    """Serve on the port that is given."""
    app = bottle.Bottle(catchall=False)
    for path in ("/readyz", "/v1/assert", "/v1/query", "/v1/skeptic", "/v1/layered"):
        app.route(path, ["GET", "POST"], constant)
    if sys.argv[2:] == ["checks"]:
        app.route("/v1/assert", "POST", checked)
    app.route("/v1/assertion/<hash>", "GET", lambda hash: constant())  # noqa: A006, ARG005 - the route's own name
    serve(app, int(sys.argv[1]))


if __name__ == "__main__":
    main()
