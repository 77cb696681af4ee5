"""`stemedb acceptance`: the pilot's criteria, tried on a host before it is relied on."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stemedb.cli.commands.bench import bar
from stemedb.cli.output import note, print_json, print_table
from stemedb.cli.session import connected
from stemedb.cli.trial.criteria import CLAIMS, FAIL, INGESTS_PER_S, LONG_S, SHORT_S, Trying, examine
from stemedb.cli.trial.scratch import folder_to_make
from stemedb.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stemedb.cli.session import Session


@click.command(
    epilog="\b\nExample:\n  stemedb acceptance --yes --unit stemedb-api.service --backup-dir /backups \\\n"
    "      --prometheus http://127.0.0.1:9090"
)
@click.option(
    "--long", is_flag=True, help=f"Each load for {LONG_S:.0f} s instead of {SHORT_S:.0f}; fire an alert."
)
@click.option(
    "--unit", metavar="NAME", help="The service's unit, which is killed (and stopped, with --long)."
)
@click.option("--prometheus", metavar="URL", help="The Prometheus that watches it.")
@click.option("--backup-dir", metavar="DIR", help="Where the backups lie, one of which is restored beside.")
@click.option("--scratch", metavar="DIR", default="/var/tmp", show_default=True, help="Where it is restored.")  # noqa: S108
@click.option("--yes", is_flag=True, help="Write trial claims, which stay, and do not ask.")
@connected
def acceptance(  # noqa: PLR0913 - click's own shape
    *,
    session: Session,
    long: bool,
    unit: str | None,
    prometheus: str | None,
    backup_dir: str | None,
    scratch: str,
    yes: bool,
    as_json: bool,
) -> int:
    """Try the pilot's criteria on a running service: pace, crash, restore, alerts, the moments of the tour.

    It writes claims of its own (`trial://`) and the sample, which stay: for a host that nobody relies on yet.
    What needs root on the host is left out without its option. Exit status: 0 if nothing failed, else 1.
    """
    seconds = LONG_S if long else SHORT_S
    if not yes:
        _confirm(session.profile.url, int(CLAIMS + INGESTS_PER_S * seconds))
    found = []
    with ExitStack() as stack:
        drill: Sequence[str] | None = None
        if backup_dir is not None:
            folder = stack.enter_context(folder_to_make(Path(scratch)))
            place = ["--from", backup_dir, "--scratch", str(folder)]
            drill = [sys.executable, "-m", "stemedb.cli.main", "drill", *place]
        trying = Trying(session.client, seconds, bar, unit, prometheus, drill, wait_for_alert=long)
        for criterion in examine(trying):
            found.append(criterion)
            if sys.stderr.isatty():
                note(f"{criterion.result:<8} {criterion.name}: {criterion.seen}")
    if as_json:
        print_json({"criteria": [each._asdict() for each in found]})
    else:
        print_table(("criterion", "result", "seen"), found)
    return 1 if any(each.result == FAIL for each in found) else 0


def _confirm(url: str, claims: int) -> None:
    """Ask on a terminal whether to go on; elsewhere refuse."""
    question = f"Write about {claims:,} trial claims to {url}? They stay."
    if not sys.stdin.isatty() or not click.confirm(question, err=True):
        raise Invalid(f"about {claims:,} trial claims would be written to {url}", hint="Say --yes to do it.")
