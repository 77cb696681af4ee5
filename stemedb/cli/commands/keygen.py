"""`stemedb keygen`: a new agent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stemedb.cli.output import print_json
from stemedb.cli.session import json_option, with_profile

if TYPE_CHECKING:
    from stemedb.cli.session import Session


@click.command(epilog="\b\nExample:\n  stemedb keygen alice")
@click.argument("name")
@json_option
@with_profile
def keygen(*, session: Session, name: str, as_json: bool) -> None:
    """Make a key called NAME in the key ring and print its agent id.

    The secret stays in the key ring (mode 0600). Keep a copy of that file: a lost key cannot be made again.
    """
    agent_id = session.keyring().create(name).agent_id.hex()
    if as_json:
        print_json({"name": name, "agent_id": agent_id, "keyring": str(session.profile.keyring)})
    else:
        click.echo(agent_id)
