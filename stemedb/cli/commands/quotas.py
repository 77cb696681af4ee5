"""`stemedb quotas`: what single agents have of the meter, instead of what everybody has."""

from __future__ import annotations

import click
import msgspec

from stemedb import limits
from stemedb.cli.output import print_json, print_table
from stemedb.cli.session import Session, connected
from stemedb.cli.showing import digits, print_written
from stemedb.cli.values import shown_time


@click.group()
def quotas() -> None:
    """List agents with quotas of their own; give one to an agent, take it back. Needs an admin key."""


@quotas.command("list", epilog="\b\nExample:\n  stemedb quotas list")
@connected
def list_(*, session: Session, as_json: bool) -> None:
    """List the agents with quotas of their own."""
    with session.client() as client:
        found = list(client.quotas())
    if as_json:
        print_json({"quotas": msgspec.to_builtins(found)})
    else:
        print_table(
            ("agent", "tokens an hour", "since", "by key", "seq"),
            [
                (
                    digits(each.agent_id),
                    str(each.tokens),
                    shown_time(each.set_at),
                    each.by or "",
                    str(each.seq),
                )
                for each in found
            ],
        )


@quotas.command("set", epilog="\b\nExample:\n  stemedb quotas set 3b6a...29 500")
@click.argument("agent")
@click.argument("tokens", type=click.IntRange(1, limits.METER_QUOTA_MAX))
@connected
def set_(*, session: Session, agent: str, tokens: int, as_json: bool) -> None:
    """Give AGENT (an id, or a key in the key ring) TOKENS for an hour; a claim takes 10."""
    with session.client() as client:
        print_written(client.set_quota(session.agent_id(agent), tokens), as_json=as_json)


@quotas.command(epilog="\b\nExample:\n  stemedb quotas end 3b6a...29")
@click.argument("agent")
@connected
def end(*, session: Session, agent: str, as_json: bool) -> None:
    """Give AGENT (an id, or a key in the key ring) again what everybody has."""
    agent_id = session.agent_id(agent)
    with session.client() as client:
        client.end_quota(agent_id)
    if as_json:
        print_json({"agent_id": agent_id, "status": "ended"})
    else:
        click.echo(f"ended {agent_id}")
