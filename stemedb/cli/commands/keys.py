"""`stemedb keys`: the API keys of a server."""

from __future__ import annotations

import click
import msgspec

from stemedb.cli.output import note, print_json, print_table, short
from stemedb.cli.session import Session, connected
from stemedb.cli.values import shown_time, timestamp
from stemedb.model.keys import ROLES
from stemedb.model.keys_wire import KeyIn, KeyOut
from stemedb.model.wire import TIERS_BY_NAME

COLUMNS = ("id", "role", "name", "state", "expires", "best tier", "agents")


@click.group()
def keys() -> None:
    """Make, list and revoke API keys; needs an admin key (STEMEDB_API_KEY or the profile's api_key)."""


CREATE_EXAMPLE = """\b
Example:
  stemedb keys create writer 'ingest job' --best-tier Expert
"""


@keys.command(epilog=CREATE_EXAMPLE)
@click.argument("role", type=click.Choice(list(ROLES)))
@click.argument("name")
@click.option("--expires", metavar="TIME", help="When it ends by itself: Unix seconds or RFC 3339.")
@click.option("--agent", "agents", metavar="ID", multiple=True, help="Only what it signs; repeatable.")
@click.option("--best-tier", type=click.Choice(list(TIERS_BY_NAME)), help="Best source class of its claims.")
@connected
def create(  # noqa: PLR0913 - one parameter an option
    *,
    session: Session,
    role: str,
    name: str,
    expires: str | None,
    agents: tuple[str, ...],
    best_tier: str | None,
    as_json: bool,
) -> None:
    """Make a key; its secret is printed this once and kept nowhere."""
    ends = None if expires is None else timestamp(expires)
    with session.client() as client:
        made = client.create_key(KeyIn(role, name, ends, list(agents), best_tier))
    if as_json:
        print_json(msgspec.to_builtins(made))
        return
    click.echo(made.key)
    note(f"key {made.id}; the line above is its secret, shown this once")


@keys.command("list", epilog="\b\nExample:\n  stemedb keys list")
@connected
def list_(*, session: Session, as_json: bool) -> None:
    """List the keys, revoked and expired ones too."""
    with session.client() as client:
        found = list(client.keys())
    if as_json:
        print_json({"keys": msgspec.to_builtins(found)})
        return
    print_table(COLUMNS, [_row(key) for key in found])


def _row(key: KeyOut) -> tuple[str, ...]:
    state = "live" if key.live else "revoked" if key.revoked else "expired"
    expires = "never" if key.expires_at is None else shown_time(key.expires_at)
    agents = str(len(key.agent_ids)) if key.agent_ids else "any"
    return key.id, key.role, short(key.name), state, expires, key.best_tier or "any", agents


@keys.command(epilog="\b\nExample:\n  stemedb keys revoke 5f0c2a9d11e4b873")
@click.argument("key_id", metavar="ID")
@connected
def revoke(*, session: Session, key_id: str, as_json: bool) -> None:
    """Revoke a key, at once; requests that are not accepted yet are refused too."""
    with session.client() as client:
        client.revoke_key(key_id)
    if as_json:
        print_json({"id": key_id, "revoked": True})
    else:
        click.echo(f"revoked {short(key_id)}")
