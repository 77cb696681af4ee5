"""`stemedb config`: what is in force here, and every limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stemedb import limits, settings
from stemedb.cli import profile as profiles
from stemedb.cli.output import print_json, print_table, short
from stemedb.cli.session import json_option, with_profile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stemedb.cli.session import Session


@click.command(epilog="\b\nExample:\n  stemedb config --json")
@json_option
@with_profile
def config(*, session: Session, as_json: bool) -> None:
    """Show the settings this environment gives to client and server, and the table of limits.

    Server settings are those that a server started here and now would take; a bad one is refused as there.
    """
    client = client_settings(session)
    server = server_settings(profiles.environment())
    table = limit_table()
    if as_json:
        print_json({"client": client, "server": server, "limits": table})
        return
    client_rows = [(name, short(each["value"]), each["from"]) for name, each in client.items()]
    print_table(("client", "value", "from"), client_rows)
    print_table(
        ("server", "value", "from"),
        [(name, short(each["value"]), each["from"]) for name, each in server.items()],
    )
    print_table(("limit", "value"), [(name, str(value)) for name, value in table.items()])


def client_settings(session: Session) -> dict[str, dict[str, str]]:
    """Return what the commands would use, and where each part was found; never the API key itself."""
    profile = session.profile
    values = {
        "url": profile.url,
        "api_key": "unset" if profile.api_key is None else "set (hidden)",
        "keyring": str(profile.keyring),
        "as": profile.signer or "unset",
        "timeout_s": f"{profile.timeout_s:g}",
    }
    return {name: {"value": value, "from": profile.origins[name]} for name, value in values.items()}


def server_settings(env: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return what a server would read from `env`; raises `BadSettings` as it would."""
    read = settings.read_settings(env)
    return {
        row.name: {
            "value": _shown(row, env.get(row.name, "").strip(), read),
            "from": "environment" if env.get(row.name, "").strip() else "default",
        }
        for row in settings.SETTINGS
    }


def _shown(row: settings.Setting, given: str, read: settings.Settings) -> str:
    if row.secret:
        return "set (hidden)" if given else "unset"
    return given or row.default or str(getattr(read, row.field) or "unset")


def limit_table() -> dict[str, int | float]:
    """Return every limit by name."""
    return {
        name: value
        for name, value in vars(limits).items()
        if name.isupper() and isinstance(value, (int, float)) and name not in {"KIB", "MIB"}
    }
