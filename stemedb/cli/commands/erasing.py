"""`stemedb erase`: claims and sources that must go, and where copies of them still are."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

import click
import msgspec

from stemedb.cli.output import note, print_json, short
from stemedb.cli.session import connected
from stemedb.model.erasure import DONE

if TYPE_CHECKING:
    from stemedb.cli.session import Session
    from stemedb.model.erasure import CopyOut

EXAMPLE = """\b
Example:
  stemedb erase 3bd1... --reason "request 2026-117 of the person concerned" --now
"""


@click.command(epilog=EXAMPLE)
@click.argument("hashes", metavar="HASH...", nargs=-1, required=True)
@click.option("--reason", required=True, help="Why. It stays in the log: do not repeat what is to go.")
@click.option("--now", is_flag=True, help="Old bytes of the view at once, instead of within a day.")
@connected
def erase(*, session: Session, hashes: tuple[str, ...], reason: str, now: bool, as_json: bool) -> None:
    """Erase claims and sources, by their ids, for good.

    What they said is overwritten in the log and leaves the view; place, id and every proof stay. The answer
    lists each copy, and by when it is gone. An erased claim can not be written again.
    """
    with session.client() as client:
        reply = client.erase(hashes, reason, now=now)
    if as_json:
        print_json(msgspec.to_builtins(reply))
        return
    click.echo(f"{'erased' if reply.status == 'created' else 'erased before'} at seq {reply.seq}")
    width = max(len(copy.name) for copy in reply.copies)
    for copy in reply.copies:
        click.echo(f"{short(copy.name):<{width}}  {_state(copy)}")
    if now and any(copy.state != DONE for copy in reply.copies):
        note("not all of it is gone yet; the same command again says how far it is")


def _state(copy: CopyOut) -> str:
    if copy.state == DONE:
        return "gone"
    if copy.until is None:
        return short(copy.state)
    return f"gone by {datetime.fromtimestamp(copy.until, timezone.utc):%Y-%m-%d %H:%M} UTC"
