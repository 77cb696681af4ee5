"""`stemedb assert`: one claim, signed here."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from stemedb.cli.options import as_option, timestamp_option, with_kind
from stemedb.cli.output import note, print_json, safe
from stemedb.cli.session import connected
from stemedb.cli.showing import note_held
from stemedb.cli.values import KIND_OPTIONS, guess_kind, timestamp, value_fields
from stemedb.client import sign
from stemedb.model.wire import KIND_NAMES, LIFECYCLES, TIERS_BY_NAME, AssertionIn, assertion_from_wire

if TYPE_CHECKING:
    from stemedb.cli.session import Session
    from stemedb.model import Assertion, ObjectKind, Signer

EXAMPLE = """\b
Example:
  stemedb assert drug://velorin response_rate 61.5 --as alice --confidence 0.8
  stemedb assert person/ada born_in London --text --as alice --timestamp 2026-03-01
"""


@click.command("assert", epilog=EXAMPLE)
@click.argument("subject")
@click.argument("predicate")
@click.argument("value")
@with_kind
@click.option("--confidence", type=float, default=1.0, show_default=True, help="How sure, from 0 to 1.")
@timestamp_option("When it was claimed")
@as_option
@click.option(
    "--source-class", type=click.Choice(list(TIERS_BY_NAME)), help="Tier (else by SUBJECT's scheme)."
)
@click.option("--source-hash", metavar="HEX", help="Hash of the evidence.")
@click.option("--lifecycle", type=click.Choice(list(LIFECYCLES)), default="Proposed", show_default=True)
@click.option("--parent", metavar="HEX", help="Id of the claim that this one revises.")
@click.option("--epoch", metavar="HEX", help="Id of the epoch it belongs to.")
@connected
def assert_(  # noqa: PLR0913 - one parameter an option
    *,
    session: Session,
    subject: str,
    predicate: str,
    value: str,
    kind: str | None,
    confidence: float,
    at: str | None,
    name: str | None,
    source_class: str | None,
    source_hash: str | None,
    lifecycle: str,
    parent: str | None,
    epoch: str | None,
    as_json: bool,
) -> None:
    """Claim that SUBJECT has VALUE for PREDICATE.

    The claim is signed here and stored before this returns. Without --text, --number, --bool or --ref the
    kind of VALUE is guessed, and the guess is printed. A VALUE that begins with a minus stands after `--`.
    """
    object_kind = KIND_OPTIONS[kind] if kind else guess_kind(value)
    assertion = assertion_from_wire(
        AssertionIn(
            subject=subject,
            predicate=predicate,
            object=value_fields(value, object_kind),
            confidence=confidence,
            timestamp=int(time.time()) if at is None else timestamp(at),
            source_class=source_class,
            source_hash=source_hash,
            lifecycle=lifecycle,
            parent_hash=parent,
            epoch=epoch,
        )
    ).assertion
    _store(session, assertion, session.signer(name), as_json=as_json, guessed=None if kind else object_kind)


def _store(
    session: Session, assertion: Assertion, signer: Signer, *, as_json: bool, guessed: ObjectKind | None
) -> None:
    with session.client() as client:
        reply = client.assert_claim(sign(assertion, signer))
    if as_json:
        print_json(
            {
                "hash": reply.hash,
                "seq": reply.seq,
                "status": reply.status,
                "agent_id": signer.agent_id.hex(),
                "type": KIND_NAMES[assertion.object.kind],
                "timestamp": assertion.timestamp,
            }
        )
        return
    click.echo(f"{safe(reply.status)} {reply.hash} at seq {reply.seq}")
    note_held(reply)
    if guessed is not None:
        note(f"read VALUE as {KIND_NAMES[guessed]}; say --text, --number, --bool or --ref to decide it")
