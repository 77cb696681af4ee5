"""What every connected command shares: its connection options and the objects they lead to."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from stemedb import limits
from stemedb.cli import profile as profiles
from stemedb.cli.keyring import KeyRing
from stemedb.cli.profile import Profile
from stemedb.cli.working import show_work
from stemedb.client import Client
from stemedb.errors import BadSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from stemedb.model import Signer

Command = TypeVar("Command", bound="Callable[..., Any]")

_AGENT_ID = re.compile(r"[0-9a-f]{64}\Z")

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


class Session(NamedTuple):
    """The profile in force, and whether what is read is verified."""

    profile: Profile
    verify: bool = True

    def client(self, *, patience_s: float = limits.CLIENT_PATIENCE_S) -> Client:
        """Return a client of the profile's server."""
        return Client(
            self.profile.url,
            self.profile.api_key,
            timeout_s=self.profile.timeout_s,
            patience_s=patience_s,
            verify=self.verify,
            on_work=show_work,
        )

    def agent_id(self, text: str) -> str:
        """Return the agent that `text` names: an agent id, or a key in the key ring by its name."""
        return text if _AGENT_ID.match(text) else self.keyring().signer(text).agent_id.hex()

    def keyring(self) -> KeyRing:
        """Read the profile's key ring."""
        return KeyRing(self.profile.keyring)

    def signer(self, name: str | None) -> Signer:
        """Return the key to sign with: the one called `name`, the profile's, or the only one in the ring."""
        chosen = name or self.profile.signer
        ring = self.keyring()
        if chosen is None:
            names = ring.names()
            if len(names) != 1:
                hint = "Say --as NAME, one of the keys in the ring."
                hint = hint if names else "Make one: stemedb keygen NAME"
                raise BadSettings("no key chosen to sign with", code="no_key", hint=hint)
            chosen = names[0]
        return ring.signer(chosen)


def with_profile(command: Command) -> Command:
    """Add `--profile` and `--keyring`; the command gets a `session` keyword."""

    @click.option("--profile", metavar="NAME", help="Section of profiles.ini to use instead of [default].")
    @click.option(
        "--keyring",
        metavar="FILE",
        help="Key ring (else STEMEDB_KEYRING, profile, ~/.config/stemedb/keys.json).",
    )
    @functools.wraps(command)
    def wrapped(profile: str | None, keyring: str | None, **options: Any) -> Any:  # noqa: ANN401 - click's own shape
        given = {
            "keyring": None if keyring is None else str(Path(keyring)),
            "url": options.pop("url", None),
            "timeout_s": options.pop("timeout_s", None),
        }
        verify = not options.pop("no_verify", False)
        session = Session(profiles.load(given, profile, profiles.environment()), verify)
        return command(session=session, **options)

    return wrapped  # type: ignore[return-value]  # click looks at the wrapper's options only


def connected(command: Command) -> Command:
    """Add the connection options and `--json`; the command gets `session` and `as_json` keywords."""
    for option in (
        click.option(
            "--url", metavar="URL", help=f"Server (else STEMEDB_URL, profile, {profiles.DEFAULT_URL})."
        ),
        click.option("--timeout-s", metavar="SECONDS", help="Longest wait on the connection (30)."),
        click.option("--no-verify", is_flag=True, help="Do not check ids and signatures of what is read."),
        json_option,
    ):
        command = option(command)
    return with_profile(command)
