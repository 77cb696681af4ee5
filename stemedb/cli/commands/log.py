"""`stemedb log`: the log's folder without the server. All but `repair` may run beside one."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
import msgspec

from stemedb import limits
from stemedb.cli.host import with_data
from stemedb.cli.output import note, print_json, print_json_line
from stemedb.cli.session import connected, json_option
from stemedb.engine.history import audit as audit_history
from stemedb.errors import Corrupt, Invalid, NotFound
from stemedb.log import Head
from stemedb.log.files import write_file
from stemedb.log.offline import FolderLog
from stemedb.log.repair import repair as cut_log
from stemedb.log.verify import Checkpoint
from stemedb.log.verify import verify as verify_log
from stemedb.model.history import SignedHead, verify_head

if TYPE_CHECKING:
    from stemedb.cli.session import Session
    from stemedb.log import Record
    from stemedb.log.verify import Report
    from stemedb.settings import Settings

_DAMAGED = 65
Kept = TypeVar("Kept", Checkpoint, SignedHead)
_BAR_STEPS = 1000


@click.group()
def log() -> None:
    """Check, show, audit and repair the log, the file that everything else is made from."""


@log.command(epilog="\b\nExample:\n  stemedb log verify --checkpoint /var/tmp/verified.json")
@click.option("--checkpoint", metavar="FILE", help="Go on from what FILE remembers; remember the new end.")
@json_option
@with_data
def verify(*, settings: Settings, checkpoint: str | None, as_json: bool) -> int:
    """Check every record: checksum, hash, and the chain from the first to the last.

    Exit status: 0 whole, 65 damaged. A checkpoint is only moved by a run that found no damage.
    """
    kept = Path(checkpoint) if checkpoint else None
    since = _read(kept, Checkpoint) if kept and kept.exists() else None
    if sys.stderr.isatty():
        with click.progressbar(length=_BAR_STEPS, label="checking", file=sys.stderr) as bar:

            def show(_at: Checkpoint, done: int, total: int) -> None:
                bar.update(max(0, _BAR_STEPS * done // max(total, 1) - bar.pos))

            report = verify_log(settings.wal_dir, since=since, progress=show)
    else:
        report = verify_log(settings.wal_dir, since=since)
    if kept and report.whole and report.checkpoint:
        write_file(kept.absolute(), msgspec.json.encode(report.checkpoint) + b"\n")
    _show_report(report, as_json=as_json)
    return 0 if report.whole else _DAMAGED


def _show_report(report: Report, *, as_json: bool) -> None:
    if as_json:
        print_json({"whole": report.whole, **msgspec.to_builtins(report)})
        return
    for each in report.problems:
        where = f"{each.file}, byte {each.offset}"
        click.echo(f"{each.code}: {where}: records {each.first_seq} to {each.last_seq}: {each.detail}")
    if report.torn_bytes:
        note(f"the last batch is torn ({report.torn_bytes} bytes): never acknowledged, cut by the next start")
    if report.whole:
        click.echo(f"whole: {report.records} records checked, the last is {report.seq}, chain {report.chain}")
    else:
        note("Restore the log from a backup, or see `stemedb log repair --help`.")


@log.command(epilog="\b\nExample:\n  stemedb log dump --from 1000 --limit 5")
@click.option("--from", "from_seq", metavar="SEQ", type=int, default=1, help="First record (1).")
@click.option("--limit", metavar="N", type=click.IntRange(min=1), help="How many records (all).")
@with_data
def dump(*, settings: Settings, from_seq: int, limit: int | None) -> None:
    """Print records as NDJSON: seq, recorded_at (microseconds), type, body (hex of its MessagePack)."""
    for record in islice(FolderLog(settings.wal_dir).records(from_seq), limit):
        print_json_line(_shown(record))


def _shown(record: Record) -> dict[str, object]:
    return msgspec.structs.asdict(record) | {"body": record.body.hex()}


@log.command(epilog="\b\nExample:\n  stemedb log head --json")
@json_option
@with_data
def head(*, settings: Settings, as_json: bool) -> None:
    """Print the log's id and the seq, chain value and time of its last record."""
    folder_log = FolderLog(settings.wal_dir)
    found = folder_log.head
    shown = {
        "log_id": folder_log.log_id.hex(),
        "seq": found.seq,
        "chain": found.chain.hex(),
        "time": found.time,
    }
    if as_json:
        print_json({**shown, "torn_bytes": folder_log.tail.torn_bytes})
    else:
        for name, value in shown.items():
            click.echo(f"{name}\t{value}")


@log.command(
    epilog="\b\nExample:\n  systemctl stop stemedb-api.socket stemedb-api.service\n"
    "  stemedb log repair --truncate-at 1234 --backup-dir /backups/cut"
)
@click.option("--truncate-at", metavar="SEQ", type=int, required=True, help="First record to cut off.")
@click.option(
    "--backup-dir", metavar="DIR", help="Where the changed files are copied to before (beside the log)."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@with_data
def repair(*, settings: Settings, truncate_at: int, backup_dir: str | None, yes: bool, as_json: bool) -> None:
    """Cut the log before record SEQ: it and all later records are lost to the database.

    The last resort after damage, when there is no backup to restore. Every file that is changed is copied
    before. A view that holds cut records is refused at the next start: delete its files, it is made again.
    """
    saved_to = (
        Path(backup_dir)
        if backup_dir
        else settings.wal_dir.with_name(f"{settings.wal_dir.name}-cut-{truncate_at}")
    )
    if not yes:
        question = (
            f"Cut record {truncate_at} and all after it from {settings.wal_dir} (copies go to {saved_to})?"
        )
        click.confirm(question, abort=True, err=True)
    done = cut_log(settings.wal_dir, truncate_at, saved_to)
    if as_json:
        copies = [str(path) for path in done.saved]
        print_json({"last_seq": done.last_seq, "cut_bytes": done.cut_bytes, "saved": copies})
    else:
        click.echo(
            f"the log ends with record {done.last_seq}; {done.cut_bytes} bytes cut, copies in {saved_to}"
        )


@log.command(
    epilog="\b\nExample:\n  curl -s http://127.0.0.1:18180/v1/log/head > head.json\n"
    "  stemedb log audit --head head.json"
)
@click.option("--head", "head_file", metavar="FILE", required=True, help="A head kept from /v1/log/head.")
@click.option("--wal-dir", metavar="DIR", help="Audit this folder instead of asking a server.")
@connected
def audit(*, session: Session, head_file: str, wal_dir: str | None, as_json: bool) -> None:
    """Prove that a head kept earlier is a prefix of the log of now, and that no byte before it changed.

    Asks the server for the hash of every record, or reads a folder of this machine.
    Exit status: 0 proven, 65 history was changed or lost, 1 the head cannot be used.
    """
    kept = _read(Path(head_file), SignedHead)
    if wal_dir:
        folder_log = FolderLog(Path(wal_dir))
        found = audit_history(kept, folder_log.log_id, folder_log.head, folder_log.hashes)
    else:
        with session.client() as client:
            now = client.log_head()
            verify_head(now)
            if now.server_key != kept.server_key:
                raise Corrupt("the server signs with another key than the kept head", code="foreign_key")
            head_now = Head(now.seq, bytes.fromhex(now.chain), now.time)
            found = audit_history(kept, bytes.fromhex(now.log_id), head_now, client.log_hashes)
    if as_json:
        print_json(found._asdict())
    else:
        click.echo(
            f"proven: record {found.kept_seq} of the kept head stands unchanged in a log of {found.head_seq}"
        )


def _read(path: Path, kind: type[Kept]) -> Kept:
    """Read a small JSON file of ours.

    Raises:
        NotFound: it is not there.
        Invalid: it is none.
    """
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(limits.HEAD_BYTES_MAX + 1), type=kind)
    except OSError as error:
        raise NotFound(f"{path}: {error.strerror}", hint="Name a file that can be read.") from error
    except msgspec.DecodeError as error:
        raise Invalid(f"{path}: {error}") from None
