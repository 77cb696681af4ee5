"""`stemedb epoch`: paradigms that claims belong to, and what superseded them."""

from __future__ import annotations

import click

from stemedb.cli.options import Paging, paged, timed, timestamp_option
from stemedb.cli.output import safe, short
from stemedb.cli.session import Session, connected
from stemedb.cli.showing import digits, print_found, print_list, print_written
from stemedb.cli.values import shown_time, timestamp
from stemedb.client import When
from stemedb.model.replies import EpochOut
from stemedb.model.wire import SUPERSESSIONS

COLUMNS = ("name", "begun", "supersedes", "how", "superseded by", "by", "id")


@click.group()
def epoch() -> None:
    """Begin, list and show epochs."""


@epoch.command(
    epilog="\b\nExample:\n  stemedb epoch begin 'criteria of 2024' --supersedes 77c0...1e --as alice"
)
@click.argument("name")
@click.option("--supersedes", metavar="HEX", help="Id of the epoch that it takes the place of.")
@click.option(
    "--supersession",
    type=click.Choice(list(SUPERSESSIONS)),
    default="Replaces",
    show_default=True,
    help="What becomes of that one's claims: Refines keeps them in epoch_aware answers.",
)
@timestamp_option("When it began")
@click.option("--as", "signer", metavar="NAME", help="Key to sign with (else the profile's `as`).")
@connected
def begin(  # noqa: PLR0913 - one parameter an option
    *,
    session: Session,
    name: str,
    supersedes: str | None,
    supersession: str,
    at: str | None,
    signer: str | None,
    as_json: bool,
) -> None:
    """Begin an epoch called NAME, signed here."""
    with session.client() as client:
        reply = client.begin_epoch(
            name,
            session.signer(signer),
            supersedes=supersedes,
            supersession=SUPERSESSIONS[supersession],
            timestamp=None if at is None else timestamp(at),
        )
    print_written(reply, as_json=as_json)


@epoch.command("list", epilog="\b\nExample:\n  stemedb epoch list")
@paged
@timed
@connected
def list_(*, session: Session, paging: Paging, when: When, as_json: bool) -> None:
    """List the epochs in the order of the log."""
    with session.client() as client:
        print_list(
            lambda limit, cursor: client.epochs(limit=limit, cursor=cursor, when=when),
            lambda page: page.epochs,
            _row,
            COLUMNS,
            paging,
            as_json=as_json,
        )


@epoch.command(epilog="\b\nExample:\n  stemedb epoch show 77c0...1e")
@click.argument("epoch_id", metavar="ID")
@timed
@connected
def show(*, session: Session, epoch_id: str, when: When, as_json: bool) -> None:
    """Show one epoch, and what superseded it."""
    with session.client() as client:
        found = client.epoch(epoch_id, when)
    print_found(
        found,
        {
            "epoch": found.id,
            "name": found.name,
            "begun": shown_time(found.timestamp),
            "supersedes": found.supersedes or "",
            "how": found.supersession if found.supersedes else "",
            "superseded by": ", ".join(found.superseded_by),
            "by": found.agent_id,
            "seq": str(found.seq),
        },
        as_json=as_json,
    )


def _row(each: EpochOut) -> tuple[str, ...]:
    return (
        short(each.name),
        shown_time(each.timestamp),
        digits(each.supersedes or ""),
        safe(each.supersession) if each.supersedes else "",
        " ".join(digits(other) for other in each.superseded_by),
        digits(each.agent_id),
        digits(each.id),
    )
