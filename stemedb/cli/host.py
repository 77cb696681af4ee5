"""What commands share that work on data folders of this machine: where they are, and as whom to open them."""

from __future__ import annotations

import functools
import os
import pwd
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from stemedb.errors import BadSettings
from stemedb.settings import PREFIX, read_settings

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIG_FILE: Final = Path("/etc/stemedb/config.env")

Command = TypeVar("Command", bound="Callable[..., Any]")


def with_environment(command: Command) -> Command:
    """Add `--config`, `--wal-dir` and `--db-dir`; the command gets `env`, the service's own variables."""

    @click.option("--config", metavar="FILE", help=f"Environment file of the service ({CONFIG_FILE}).")
    @click.option("--wal-dir", metavar="DIR", help="Folder of the log (else STEMEDB_WAL_DIR, config file).")
    @click.option("--db-dir", metavar="DIR", help="Folder of the view (else STEMEDB_DB_DIR, config file).")
    @functools.wraps(command)
    def wrapped(config: str | None, wal_dir: str | None, db_dir: str | None, **options: Any) -> Any:  # noqa: ANN401
        given = {"STEMEDB_WAL_DIR": wal_dir, "STEMEDB_DB_DIR": db_dir}
        env = environment(Path(config) if config else None)
        return command(env=env | {name: value for name, value in given.items() if value}, **options)

    return wrapped  # type: ignore[return-value]  # click looks at the wrapper's options only


def with_data(command: Command) -> Command:
    """Add the options of `with_environment`; the command gets `settings`, and runs as the data's owner."""

    @with_environment
    @functools.wraps(command)
    def wrapped(env: dict[str, str], **options: Any) -> Any:  # noqa: ANN401
        settings = read_settings(env)
        become_owner(settings.wal_dir)
        return command(settings=settings, **options)

    return wrapped  # type: ignore[return-value]  # as above


def environment(config: Path | None) -> dict[str, str]:
    """Return the service's settings: those of this environment, else of `config`, else of the host's file.

    A host's file that this user may not read is passed over; one that was named is not.

    Raises:
        BadSettings: the file cannot be read.
    """
    found: dict[str, str] = {}
    path = config or CONFIG_FILE
    try:
        found = read_env_file(path)
    except OSError as error:
        if config is not None:
            raise BadSettings(f"{path}: {error.strerror}") from error
    own = {name: value for name, value in os.environ.items() if name.startswith(PREFIX) or name == "RUST_LOG"}
    return found | own


def read_env_file(path: Path) -> dict[str, str]:
    """Read a file as systemd's EnvironmentFile reads it: `NAME=value`, quotes and comment lines.

    Raises:
        OSError: it cannot be read.
        BadSettings: a line is none.
    """
    values: dict[str, str] = {}
    for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), 1):
        text = line.strip()
        if not text or text[0] in "#;":
            continue
        name, equals, value = text.partition("=")
        try:
            words = shlex.split(value) if value[:1] in ("'", '"') else [value.strip()]
        except ValueError:
            words = []
        if not equals or len(words) > 1 or (value and not words):
            raise BadSettings(f"{path}, line {number}: not NAME=value")
        values[name.strip()] = words[0] if words else ""
    return values


def become_owner(folder: Path) -> None:
    """Give up root for good for the owner of `folder`, so that no file there comes to belong to root.

    A view opened once by root would lock the service out.
    """
    if os.geteuid() != 0 or not folder.exists():
        return
    owner = folder.stat()
    os.umask(0o077)
    if owner.st_uid == 0:
        return
    try:
        os.initgroups(pwd.getpwuid(owner.st_uid).pw_name, owner.st_gid)
    except KeyError:
        os.setgroups([owner.st_gid])
    os.setresgid(owner.st_gid, owner.st_gid, owner.st_gid)
    os.setresuid(owner.st_uid, owner.st_uid, owner.st_uid)
