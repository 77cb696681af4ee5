"""`stemedb drill`: restoring for practice, so that nobody needs to believe that it works."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stemedb.backup.drill import (
    FAIL,
    INCONCLUSIVE,
    PASS,
    RESULTS,
    Failed,
    Ground,
    Inconclusive,
    note_result,
    prove,
    wait_archived,
)
from stemedb.cli import profile as profiles
from stemedb.cli.backups import (
    from_option,
    make_way,
    metrics_option,
    trust_option,
    trusted_keys,
    write_metrics,
)
from stemedb.cli.host import with_data
from stemedb.cli.local import server_url
from stemedb.cli.main import CORRUPT, OK, UNAVAILABLE
from stemedb.cli.output import note, print_json
from stemedb.cli.session import json_option
from stemedb.client import Client, sign
from stemedb.errors import StemedbError
from stemedb.model import Assertion, ObjectKind, Signer, Value
from stemedb.telemetry import Sample

if TYPE_CHECKING:
    from stemedb.backup.layout import DrillState
    from stemedb.settings import Settings

SUBJECT = "stemedb://drill"
PREDICATE = "sentinel"
_STATUS = {PASS: OK, FAIL: CORRUPT, INCONCLUSIVE: UNAVAILABLE}


@click.command(epilog="\b\nExample:\n  stemedb drill --from /backups --scratch /var/lib/stemedb-drill")
@from_option
@click.option("--scratch", metavar="DIR", required=True, help="Empty folder to restore into; emptied again.")
@click.option("--url", metavar="URL", help="Server (else STEMEDB_URL, STEMEDB_BIND_ADDR).")
@trust_option
@metrics_option
@json_option
@with_data
def drill(  # noqa: PLR0913 - one keyword an option
    *,
    settings: Settings,
    backup_dir: str,
    scratch: str,
    url: str | None,
    trust_keys: tuple[str, ...],
    metrics_dir: str | None,
    as_json: bool,
) -> int:
    """Write a claim, wait for its archive, restore the service's state beside it, and compare the two.

    Exit status: 0 pass, 65 fail (treat it as having no backups), 75 inconclusive (it could not be tried).
    """
    make_way()
    began, seq = time.monotonic(), 0
    ground = Ground(
        Path(backup_dir).absolute(), settings.db_dir, Path(scratch).absolute(), trusted_keys(trust_keys)
    )

    def say(text: str) -> None:
        if not as_json:
            note(text)

    try:
        claim_id, seq = _write_sentinel(url or profiles.environment().get("STEMEDB_URL"), settings)
        say(f"the drill's claim is record {seq}")
        wait_archived(ground.backup_dir, seq)
        restored = prove(ground, claim_id, say)
    except Failed as error:
        result, detail = FAIL, str(error)
    except Inconclusive as error:
        result, detail = INCONCLUSIVE, str(error)
    else:
        seq = restored.seq
        result, detail = PASS, f"record {seq} and digest {restored.state_digest} came back"
    state = note_result(ground.backup_dir, result, detail, seq, time.monotonic() - began)
    write_metrics(metrics_dir, "stemedb_drill", _samples(state))
    if as_json:
        print_json(state)
    else:
        click.echo(f"{result}: {detail} ({state.seconds:.1f} s)")
    return _STATUS[result]


def _write_sentinel(url: str | None, settings: Settings) -> tuple[bytes, int]:
    """Write a claim that nobody could have written before; return its id and seq."""
    api_key = profiles.environment().get("STEMEDB_API_KEY")
    token = secrets.token_hex(16)
    claim = Assertion(
        SUBJECT, PREDICATE, Value(ObjectKind.TEXT, token), confidence=1.0, timestamp=int(time.time())
    )
    try:
        with Client(url or server_url(settings), api_key) as client:
            reply = client.assert_claim(sign(claim, Signer.generate()))
    except StemedbError as error:
        raise Inconclusive(f"the service did not take the drill's claim: {error.detail}") from None
    return bytes.fromhex(reply.hash), reply.seq


def _samples(state: DrillState) -> list[Sample]:
    return [
        Sample("stemedb_drill_last_success_timestamp_seconds", state.passed_at),
        *(
            Sample("stemedb_drill_result", float(result == state.result), {"result": result})
            for result in RESULTS
        ),
    ]
