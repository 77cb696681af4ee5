"""`stemedb quarantine`: claims that the server held back, for an administrator to decide about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stemedb.cli.options import Paging, paged
from stemedb.cli.output import print_json_line, safe, short
from stemedb.cli.session import Session, connected
from stemedb.cli.showing import digits, print_list
from stemedb.model.replies import WriteReply

if TYPE_CHECKING:
    from collections.abc import Callable

    from stemedb.model.quarantine_wire import HeldOut

COLUMNS = ("seq", "why", "quality", "like", "trust", "by", "says", "id")


@click.group()
def quarantine() -> None:
    """List claims that were held back; approve or reject them. Needs an admin key."""


@quarantine.command("list", epilog="\b\nExample:\n  stemedb quarantine list")
@click.option("--rejected", is_flag=True, help="Those that were rejected, instead of those that wait.")
@paged
@connected
def list_(*, session: Session, rejected: bool, paging: Paging, as_json: bool) -> None:
    """List the claims that wait, the oldest first, with what speaks against them."""
    with session.client() as client:
        print_list(
            lambda limit, cursor: client.quarantine(rejected=rejected, limit=limit, cursor=cursor),
            lambda page: page.quarantine,
            _row,
            COLUMNS,
            paging,
            as_json=as_json,
        )


def _row(held: HeldOut) -> tuple[str, ...]:
    said = held.assertion
    value = said["object"]
    shown = value.get("value") if isinstance(value, dict) else value
    signers = [digits(safe(each.agent_id)) for each in held.signatures]
    return (
        str(held.seq),
        safe(", ".join(held.reasons)),
        f"{held.scores.quality:.2f}",
        f"{held.scores.similarity:.2f}",
        f"{held.scores.trust:.2f}",
        ", ".join(signers) or "nobody",
        short(f"{said['subject']} {said['predicate']} = {shown}"),
        held.hash,  # whole: it is what approve and reject want
    )


@quarantine.command(epilog="\b\nExample:\n  stemedb quarantine approve 5b1f...c3 9a02...7d")
@click.argument("hashes", metavar="HASH...", nargs=-1, required=True)
@connected
def approve(*, session: Session, hashes: tuple[str, ...], as_json: bool) -> None:
    """Release claims: from here on everybody sees them, as of now. A rejected one may be approved, too."""
    with session.client() as client:
        _each(hashes, client.approve, as_json=as_json)


@quarantine.command(epilog="\b\nExample:\n  stemedb quarantine reject 5b1f...c3")
@click.argument("hashes", metavar="HASH...", nargs=-1, required=True)
@connected
def reject(*, session: Session, hashes: tuple[str, ...], as_json: bool) -> None:
    """Keep claims in quarantine for good; they cannot be sent again."""
    with session.client() as client:
        _each(hashes, client.reject, as_json=as_json)


def _each(hashes: tuple[str, ...], decide: Callable[[str], WriteReply], *, as_json: bool) -> None:
    """Decide about each, in order; the first refusal ends it, what was printed before stands."""
    for claim_hash in hashes:
        done = decide(claim_hash)
        if as_json:
            print_json_line(done)
        else:
            click.echo(f"{safe(done.status)} {safe(done.hash)} at seq {done.seq}")
