"""What a route is: everything that serving it and describing it needs, in one row."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import bottle

from stemedb.api.call import JSON, Call
from stemedb.api.service import Service

Handler = Callable[[Service, Call], bottle.HTTPResponse]


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
    quiet: bool = False  # asked by machines every few seconds: logged at debug level

    @property
    def rule(self) -> str:
        """The path as bottle writes it."""
        return self.path.replace("{", "<").replace("}", ">")
