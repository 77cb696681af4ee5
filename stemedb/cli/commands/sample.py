"""`stemedb sample`: something to try things on."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from stemedb.cli.output import note, print_json
from stemedb.cli.sample import SampleKeys
from stemedb.cli.sample.story import Told, tell
from stemedb.cli.sample.table import load
from stemedb.cli.session import connected
from stemedb.errors import StemedbError

if TYPE_CHECKING:
    from stemedb.cli.importing import Summary
    from stemedb.cli.session import Session

TRIES = (
    (
        "Who disagrees, and how much each side weighs:",
        ("skeptic", "drug://velorin", "raises_cardiac_risk"),
    ),
    (
        "What the regulator stood for a year before it changed its mind (leave --at out for today):",
        ("query", "drug://velorin", "raises_cardiac_risk", "--lens", "authority", "--at", "2024-01-01"),
    ),
    (
        "What most people say of a security rule; --lens authority answers with the standard's word:",
        ("query", "rfc://8725", "unsigned_tokens", "--lens", "consensus"),
    ),
)


@click.command(epilog="\b\nExample:\n  stemedb sample")
@connected
def sample(*, session: Session, as_json: bool) -> int:
    """Load some 200 claims of invented sources that disagree, and show three commands to try.

    The keys of these sources are made from a public phrase and prove nothing. Loading twice adds nothing.
    """
    with session.client() as client:
        summary = load(client)
        told = tell(client, SampleKeys()) if not summary.refused else Told(0, 0)
    commands = [[_program(), *words, *_where(session)] for _, words in TRIES]
    if as_json:
        tries = [shlex.join(command) for command in commands]
        print_json({**msgspec.to_builtins(summary), **told._asdict(), "commands": tries})
    else:
        click.echo(_loaded(summary, told))
        for (why, _), command in zip(TRIES, commands, strict=True):
            click.echo(f"\n{why}\n  $ {shlex.join(command)}")
    for refusal in summary.refusals:
        note(f"line {refusal.line}: {refusal.reason}")
    if summary.refused:
        raise StemedbError(
            f"{summary.refused} claims of the sample were refused", code="sample_refused", hint=""
        )
    return 0


def _loaded(summary: Summary, told: Told) -> str:
    accepted = summary.created + summary.exists + summary.endorsed + told.statements
    new = summary.created + summary.endorsed + told.news
    shown = f"{new} new" if new else "all there already"
    return f"The sample is loaded: {accepted} statements of {summary.sources} invented sources, {shown}."


def _program() -> str:
    """Return how to call this program from here: by name if the shell would find this very one."""
    called = Path(sys.argv[0])
    found = shutil.which("stemedb")
    if found is not None and Path(found).resolve() == called.resolve():
        return "stemedb"
    try:
        return str(called.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(called)


def _where(session: Session) -> tuple[str, ...]:
    """Return the options without which the shown commands would ask another server."""
    return ("--url", session.profile.url) if session.profile.origins["url"] == "option" else ()
