"""One module a command, or a few that belong together. Commands parse, call the client, and print.

Commands are loaded when they are called: `query` must not wait for what only `doctor` needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

COMMANDS: Final = {
    "keygen": "keygen:keygen",
    "assert": "asserting:assert_",
    "query": "asking:query",
    "skeptic": "quarrels:skeptic",
    "layered": "quarrels:layered",
    "constraints": "quarrels:constraints",
    "trace": "looking:trace",
    "vote": "voting:vote",
    "supersede": "voting:supersede",
    "source": "sources:source",
    "impact": "sources:impact",
    "epoch": "epochs:epoch",
    "alias": "settling:alias",
    "gold": "settling:gold",
    "agent": "looking:agent",
    "concepts": "looking:concepts",
    "escalations": "looking:escalations",
    "feed": "looking:feed",
    "audits": "auditing:audits",
    "audit": "auditing:audit",
    "import": "importing:import_",
    "erase": "erasing:erase",
    "keys": "keys:keys",
    "breakers": "breakers:breakers",
    "quarantine": "quarantine:quarantine",
    "quotas": "quotas:quotas",
    "status": "status:status",
    "top": "top:top",
    "logs": "logs:logs",
    "config": "config:config",
    "sample": "sample:sample",
    "log": "log:log",
    "archive": "archive:archive",
    "backup": "backup:backup",
    "restore": "restore:restore",
    "drill": "drill:drill",
    "doctor": "doctor:doctor",
    "report": "report:report",
    "bench": "bench:bench",
    "acceptance": "acceptance:acceptance",
    "completion": "completion:completion",
}
"""Where each command is: module of this package, and the name in it."""


def load(name: str) -> click.Command:
    """Return the command called `name`; raises `KeyError` for others."""
    module, _, attribute = COMMANDS[name].partition(":")
    command = getattr(import_module(f"{__name__}.{module}"), attribute)
    assert isinstance(command, click.Command)  # noqa: S101 - a slip in the table above, not an input
    return command
