"""Where to connect and as whom: options, then the environment, then a profile, then the defaults."""

from __future__ import annotations

import configparser
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from stemedb import limits
from stemedb.cli.keyring import private
from stemedb.errors import BadSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_URL = "http://127.0.0.1:18180"
KNOWN = ("url", "api_key", "keyring", "as", "timeout_s")


class Profile(NamedTuple):
    """What a connection needs, and where each part was found."""

    url: str
    api_key: str | None
    keyring: Path
    signer: str | None
    timeout_s: float
    origins: dict[str, str]


def config_folder(env: Mapping[str, str]) -> Path:
    """Return the folder of profiles and keys, after XDG's rule."""
    base = env.get("XDG_CONFIG_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".config") / "stemedb"


def load(options: Mapping[str, str | None], name: str | None, env: Mapping[str, str]) -> Profile:
    """Put together what was given; raises `BadSettings` for a profile that is missing or cannot be read."""
    folder = config_folder(env)
    from_profile = _section(folder / "profiles.ini", name)
    environment = {
        "url": env.get("STEMEDB_URL"),
        "api_key": env.get("STEMEDB_API_KEY"),
        "keyring": env.get("STEMEDB_KEYRING"),
    }
    defaults = {
        "url": DEFAULT_URL,
        "keyring": str(folder / "keys.json"),
        "timeout_s": str(limits.CLIENT_TIMEOUT_S),
    }
    found: dict[str, str | None] = {}
    origins: dict[str, str] = {}
    for key in KNOWN:
        layers = (
            ("option", options.get(key)),
            ("environment", environment.get(key)),
            ("profile", from_profile.get(key)),
            ("default", defaults.get(key)),
        )
        origins[key], found[key] = next(((who, text) for who, text in layers if text), ("unset", None))
    return Profile(
        url=found["url"] or DEFAULT_URL,
        api_key=found["api_key"],
        keyring=Path(found["keyring"] or "").expanduser(),
        signer=found["as"],
        timeout_s=_seconds(found["timeout_s"] or ""),
        origins=origins,
    )


def _section(path: Path, name: str | None) -> dict[str, str]:
    """Return the section called `name`, else `[default]` if there is one."""
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    try:
        with path.open(encoding="utf-8") as file:
            parser.read_file(file)
            section = dict(parser[name or "default"]) if parser.has_section(name or "default") else None
            if section is not None and "api_key" in section:
                private(path, file.fileno())
    except FileNotFoundError:
        section = None
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        what = str(error).splitlines()[0]
        raise BadSettings(f"cannot read {path}: {what}", code="bad_profile") from error
    if section is None:
        if name is not None:
            raise BadSettings(
                f"no profile [{name}] in {path}", code="no_such_profile", hint="Write it there."
            )
        return {}
    unknown = sorted(set(section) - set(KNOWN))
    if unknown:
        raise BadSettings(
            f"unknown name {unknown[0]!r} in {path}",
            code="bad_profile",
            hint=f"Known are {', '.join(KNOWN)}.",
        )
    return section


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:  # noqa: PLR2004 - an hour
        raise BadSettings(f"timeout_s {text!r} is no time from 0 to 3600 seconds", code="bad_profile")
    return seconds


def environment() -> Mapping[str, str]:
    """Return the process's environment; read here and nowhere else in the commands."""
    return os.environ
