"""What a route is: everything that serving it and describing it needs, in one row."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple

import bottle

from stemedb.api.call import JSON, Call
from stemedb.api.later import Later
from stemedb.api.service import Service

Handler = Callable[[Service, Call], bottle.HTTPResponse | Later]


class Parameter(NamedTuple):
    """One query parameter: its JSON schema and what it means."""

    name: str
    schema: dict[str, object]
    meaning: str
    required: bool = False


class Route(NamedTuple):
    """One method of one path.

    `replies` are the shapes of each status, none for text or no body; `refusals` are the problems it may
    answer beside those that any path may.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    replies: dict[int, tuple[type, ...]]
    body: type | None = None
    body_type: str = JSON
    reply_type: str = JSON
    parameters: tuple[Parameter, ...] = ()
    refusals: tuple[int, ...] = ()
    positioned: bool = False  # replies carry Stemedb-Seq; those of reads and of what creates always do
    audited: bool = False  # replies carry Stemedb-Audit-Id
    quiet: bool = False  # asked by machines every few seconds: logged at debug level

    name: str = ""  # in the description, where the handler's own would not be unique

    @property
    def operation(self) -> str:
        """The name of this row in the description."""
        return self.name or self.handler.__name__

    @property
    def is_read(self) -> bool:
        """Whether it answers with an ETag, and waits for a position."""
        return HTTPStatus.NOT_MODIFIED in self.replies

    @property
    def has_position(self) -> bool:
        """Whether replies carry Stemedb-Seq."""
        return self.positioned or self.is_read or HTTPStatus.CREATED in self.replies

    @property
    def rule(self) -> str:
        """The path as bottle writes it."""
        return self.path.replace("{", "<").replace("}", ">")
