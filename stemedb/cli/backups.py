"""What commands about backups share: the server's key to sign with, the keys that are trusted, metrics."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from stemedb import limits, telemetry
from stemedb.engine.server_key import FILE_NAME, load_server_key
from stemedb.errors import BadSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from stemedb.backup.walking import Progress
    from stemedb.model import Signer
    from stemedb.settings import Settings

TRUSTED_KEYS_FILE: Final = Path("/etc/stemedb/trusted_keys")
_KEY_BYTES: Final = 32
_NICE: Final = 10
_BAR_STEPS: Final = 1000

Command = TypeVar("Command", bound="Callable[..., Any]")

from_option = click.option(
    "--from", "backup_dir", metavar="DIR", required=True, help="Folder of the backups (/backups)."
)
metrics_option = click.option(
    "--metrics-dir", metavar="DIR", help="Write the result for node_exporter's textfile collector here."
)
trust_option = click.option(
    "--trust-key",
    "trust_keys",
    metavar="HEX",
    multiple=True,
    help=f"A server's public key to trust, beside those in {TRUSTED_KEYS_FILE}.",
)


def make_way() -> None:
    """Let the service, and everything else, have the processor first."""
    with suppress(OSError):
        os.nice(_NICE)


def server_key(settings: Settings) -> Signer:
    """Return the server's signer; unlike the service, a command never makes one.

    Raises:
        BadSettings: there is none, or it cannot be read.
    """
    path = settings.key_dir / FILE_NAME
    try:
        path.stat()
    except OSError as error:
        hint = "Start the service once, which makes it; or name the folder in STEMEDB_KEY_DIR."
        raise BadSettings(f"the server's key {path}: {error.strerror}", hint=hint) from None
    return load_server_key(settings.key_dir)


def trusted_keys(given: Sequence[str]) -> frozenset[bytes]:
    """Return the keys that backups are believed by: those given, and those of this machine's file.

    Raises:
        BadSettings: there are none, or one is no key.
    """
    found = [*given]
    try:
        with TRUSTED_KEYS_FILE.open(encoding="ascii") as file:
            text = file.read(limits.TRUSTED_KEYS_BYTES_MAX)
        found += [line.split("#", 1)[0].strip() for line in text.splitlines()]
    except FileNotFoundError:
        pass
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"{TRUSTED_KEYS_FILE}: {error}") from None
    keys = frozenset(_key(text) for text in found if text)
    if not keys:
        raise BadSettings(
            f"no key to trust: {TRUSTED_KEYS_FILE} is not there or empty",
            code="no_trusted_key",
            hint="Give --trust-key HEX: the server_key that /v1/log/head or `stemedb backup key` showed; "
            "never one that is found in the backup.",
        )
    return keys


def _key(text: str) -> bytes:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise BadSettings(f"{text[:80]!r} is not a public key (64 hex digits)")
    return key


def write_metrics(folder: str | None, name: str, samples: Sequence[telemetry.Sample]) -> None:
    """Put the textfile `name`.prom in place, readable for the collector; nothing where no folder is given.

    Raises:
        OSError: it cannot be written.
    """
    if folder is None:
        return
    path = Path(folder) / f"{name}.prom"
    draft = path.with_name(f".{path.name}.tmp")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    with os.fdopen(fd, "wb") as file:
        os.fchmod(fd, 0o644)
        file.write(telemetry.textfile(samples))
    draft.rename(path)


@contextmanager
def bar(label: str) -> Iterator[Progress]:
    """Show a bar with the time left, on a terminal only; yields what is told bytes done and bytes in all."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    with click.progressbar(length=_BAR_STEPS, label=label, file=sys.stderr) as shown:

        def show(done: int, total: int) -> None:
            shown.update(max(0, min(_BAR_STEPS, _BAR_STEPS * done // max(total, 1)) - shown.pos))

        yield show
