"""`stemedb vote` and `stemedb supersede`: what is said about a claim that is there."""

from __future__ import annotations

import time

import click
import msgspec

from stemedb.cli.options import as_option, timestamp_option, with_kind
from stemedb.cli.session import Session, connected
from stemedb.cli.showing import print_written
from stemedb.cli.values import KIND_OPTIONS, guess_kind, timestamp, value_fields
from stemedb.client import Client, sign
from stemedb.model import Assertion
from stemedb.model.wire import LIFECYCLES, TIERS_BY_NAME, AssertionIn, assertion_from_wire

VOTE_EXAMPLE = """\b
Example:
  stemedb vote 3bd1...8f 0.8 --as bob
  stemedb vote --as bob -- 3bd1...8f -1
"""


@click.command(epilog=VOTE_EXAMPLE)
@click.argument("claim")
@click.argument("weight", type=float)
@timestamp_option()
@as_option
@connected
def vote(
    *, session: Session, claim: str, weight: float, at: str | None, name: str | None, as_json: bool
) -> None:
    """Vote for (up to 1) or against (down to -1) the claim with the id CLAIM.

    An agent's last word counts, and 0 takes it back. A WEIGHT that begins with a minus stands after `--`.
    """
    when = None if at is None else timestamp(at)
    with session.client() as client:
        print_written(client.vote(claim, weight, session.signer(name), timestamp=when), as_json=as_json)


SUPERSEDE_EXAMPLE = """\b
Example:
  stemedb supersede 3bd1...8f 61.8 --as alice --confidence 0.9
  stemedb supersede 3bd1...8f --lifecycle Approved --as editor
"""


@click.command(epilog=SUPERSEDE_EXAMPLE)
@click.argument("parent")
@click.argument("value", required=False)
@with_kind
@click.option("--confidence", type=float, help="How sure, from 0 to 1 (as PARENT).")
@timestamp_option("When it was claimed")
@as_option
@click.option("--source-class", type=click.Choice(list(TIERS_BY_NAME)), help="Tier (as PARENT).")
@click.option("--source-hash", metavar="HEX", help="Hash of the evidence (as PARENT).")
@click.option("--lifecycle", type=click.Choice(list(LIFECYCLES)), help="Stage (as PARENT).")
@click.option("--epoch", metavar="HEX", help="Id of the epoch it belongs to (as PARENT).")
@connected
def supersede(  # noqa: PLR0913 - one parameter an option
    *,
    session: Session,
    parent: str,
    value: str | None,
    kind: str | None,
    at: str | None,
    name: str | None,
    as_json: bool,
    **given: str | float | None,
) -> None:
    """Revise the claim with the id PARENT: about the same, with another VALUE or in another stage.

    What is not given stays as it was in PARENT. PARENT is kept and leaves the answers.
    """
    signer = session.signer(name)
    when = int(time.time()) if at is None else timestamp(at)
    with session.client() as client:
        changes = {field: each for field, each in given.items() if each is not None}
        revised = _revised(client, parent, {**changes, "timestamp": when}, value, kind)
        print_written(client.supersede(sign(revised, signer)), as_json=as_json)


def _revised(
    client: Client, parent: str, changes: dict[str, str | float], value: str | None, kind: str | None
) -> Assertion:
    """Return the claim that revises `parent`; raises `NotFound`, and `Invalid` for what no claim may be."""
    old = client.assertion(parent)
    fields = msgspec.to_builtins(old) | changes | {"parent_hash": parent}
    if value is not None:
        fields["object"] = value_fields(value, KIND_OPTIONS[kind] if kind else guess_kind(value))
    wire = {name: fields[name] for name in AssertionIn.__struct_fields__ if name in fields}
    del wire["signatures"], wire["hash"]
    return assertion_from_wire(msgspec.convert(wire, AssertionIn)).assertion
