"""`stemedb breakers`: agents that are shut out because their claims kept being refused."""

from __future__ import annotations

import click
import msgspec

from stemedb.cli.output import print_json, print_table
from stemedb.cli.session import Session, connected


@click.group()
def breakers() -> None:
    """List agents that are shut out, or nearly; shut one out, let one in. Needs an admin key."""


@breakers.command("list", epilog="\b\nExample:\n  stemedb breakers list")
@connected
def list_(*, session: Session, as_json: bool) -> None:
    """List the breakers that are not at rest."""
    with session.client() as client:
        found = list(client.breakers())
    if as_json:
        print_json({"circuit_breakers": msgspec.to_builtins(found)})
    else:
        print_table(("agent", "state"), [(each.agent_id, each.state) for each in found])


@breakers.command("open", epilog="\b\nExample:\n  stemedb breakers open 3b6a...29")
@click.argument("agent")
@connected
def open_(*, session: Session, agent: str, as_json: bool) -> None:
    """Shut an agent out for 30 seconds."""
    _switch(session, agent, "open", as_json=as_json)


@breakers.command(epilog="\b\nExample:\n  stemedb breakers reset 3b6a...29")
@click.argument("agent")
@connected
def reset(*, session: Session, agent: str, as_json: bool) -> None:
    """Let an agent in again."""
    _switch(session, agent, "reset", as_json=as_json)


def _switch(session: Session, agent: str, action: str, *, as_json: bool) -> None:
    with session.client() as client:
        found = client.switch_breaker(session.agent_id(agent), action)
    if as_json:
        print_json(msgspec.to_builtins(found))
    else:
        click.echo(f"{found.agent_id} {found.state}")
