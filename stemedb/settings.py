"""The service's configuration: read once from the environment, at the entry point, into one frozen value.

Rooms get values from it, never the environment. Anything unknown or unreadable stops the start (exit
status 78) with one line, because a setting that is silently ignored is worse than none.
"""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Final, NamedTuple

from stemedb import limits
from stemedb.errors import BadSettings

PREFIX: Final = "STEMEDB_"

CLIENT_NAMES: Final = frozenset({"STEMEDB_URL", "STEMEDB_API_KEY", "STEMEDB_KEYRING"})
"""Names of the command line: one environment may serve both, so the server knows and ignores them."""

_TRUE: Final = frozenset({"true", "1", "yes", "on"})
_FALSE: Final = frozenset({"false", "0", "no", "off"})
_LEVELS: Final = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "off": logging.CRITICAL,
}
_SECRET: Final = re.compile(r"steme_live_[A-Za-z0-9_-]{43}")
_ORIGIN: Final = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+")
_INTERNAL: Final = "127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7"


class Address(NamedTuple):
    """A TCP address; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this host can reach it; a name other than localhost may be anything."""
        try:
            found = ip_address(self.host)
        except ValueError:
            return self.host == "localhost"
        mapped = getattr(found, "ipv4_mapped", None)
        return bool((mapped or found).is_loopback)


@dataclass(frozen=True)
class Settings:
    """Everything the environment says, parsed. The fields are the names in `SETTINGS`, without prefix."""

    bind_addr: Address
    wal_dir: Path
    db_dir: Path
    key_dir: Path
    wal_segment_bytes: int
    disk_floor_mb: int
    backup_dir: Path | None
    log: int
    slow_query_ms: int
    unsafe_skip_signatures: bool
    auth_enabled: bool
    root_api_key: str = field(repr=False)
    root_api_key_file: Path | None
    require_auth_on_public_bind: bool
    allowed_origins: frozenset[str]
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...]
    internal_networks: tuple[IPv4Network | IPv6Network, ...]
    meter_enabled: bool
    meter_quota: int
    admission_enabled: bool
    content_defense_enabled: bool

    @property
    def exposed(self) -> bool:
        """Whether anybody who reaches this host may do everything."""
        return not self.auth_enabled and not self.bind_addr.is_loopback


class Setting(NamedTuple):
    """One row of the table: the variable, its default as text, how it is read, and what it is for."""

    name: str
    default: str
    parse: Callable[[str], object]
    meaning: str
    secret: bool = False  # its value is shown nowhere

    @property
    def field(self) -> str:
        """The name of its field in `Settings`."""
        return self.name[len(PREFIX) :].lower()


def _address(text: str) -> Address:
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("an IPv6 address stands in brackets, as in [::1]:18180")
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > limits.PORT_MAX:
        raise ValueError("must be host:port, as in 127.0.0.1:18180")
    return Address(host, int(port))


def _boolean(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError("must be true or false")


def _secret(text: str) -> str:
    if text and not is_secret(text):
        raise ValueError("must be steme_live_ and 43 characters of A-Z, a-z, 0-9, _ and -")
    return text


def _file(text: str) -> Path | None:
    return Path(text) if text else None


def _origins(text: str) -> frozenset[str]:
    found = frozenset(part.strip() for part in text.split(",") if part.strip())
    for origin in sorted(found):
        if not _ORIGIN.fullmatch(origin):
            raise ValueError("must be origins like https://example.org, with commas between; no path, no *")
    return found


def _networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError:
        raise ValueError("must be addresses or networks like 10.0.0.0/8, with commas between") from None


def _whole(minimum: int, maximum: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit()) or not minimum <= int(text) <= maximum:
            raise ValueError(f"must be a whole number from {minimum} to {maximum}")
        return int(text)

    return parse


def _level(text: str) -> int:
    """Read a level, alone or in RUST_LOG's directives (`warn,stemedb=debug`): a bare level wins."""
    directives = [part.strip().lower() for part in text.split(",")]
    named = [part.rpartition("=")[2] for part in directives if "=" in part]
    for word in [part for part in directives if "=" not in part] + named:
        if word in _LEVELS:
            return _LEVELS[word]
    raise ValueError(f"must be one of {', '.join(_LEVELS)}")


SETTINGS: Final = (
    Setting("STEMEDB_BIND_ADDR", "127.0.0.1:18180", _address, "address and port the API listens on"),
    Setting("STEMEDB_WAL_DIR", "./data/wal", Path, "folder of the log; made if missing"),
    Setting("STEMEDB_DB_DIR", "./data/db", Path, "folder of the view; made if missing"),
    Setting(
        "STEMEDB_KEY_DIR", "", Path, "folder of the server's own key (0700); default: keys in STEMEDB_WAL_DIR"
    ),
    Setting(
        "STEMEDB_WAL_SEGMENT_BYTES",
        str(limits.LOG_SEGMENT_BYTES_DEFAULT),
        _whole(limits.LOG_SEGMENT_BYTES_MIN, limits.LOG_SEGMENT_BYTES_MAX),
        "bytes of one segment of the log, from 1 MiB",
    ),
    Setting(
        "STEMEDB_DISK_FLOOR_MB",
        "512",
        _whole(0, limits.DISK_FLOOR_MB_MAX),
        "free megabytes of the log's file system below which writes are refused",
    ),
    Setting(
        "STEMEDB_BACKUP_DIR",
        "",
        _file,
        "folder of the backups, to tell how they stand; written by other processes only; default unknown",
    ),
    Setting("STEMEDB_LOG", "info", _level, "log level: debug, info, warn or error; wins over RUST_LOG"),
    Setting(
        "STEMEDB_SLOW_QUERY_MS",
        str(limits.SLOW_QUERY_MS_DEFAULT),
        _whole(0, limits.SLOW_QUERY_MS_MAX),
        "milliseconds from which on a question is logged with its plan; 0 logs every question",
    ),
    Setting(
        "STEMEDB_UNSAFE_SKIP_SIGNATURES",
        "false",
        _boolean,
        "accept unsigned claims; for trying things out only",
    ),
    Setting(
        "STEMEDB_AUTH_ENABLED", "false", _boolean, "ask for API keys on every path but health and probes"
    ),
    Setting(
        "STEMEDB_ROOT_API_KEY",
        "",
        _secret,
        "the first admin key; used once, while there was no admin key ever",
        secret=True,
    ),
    Setting("STEMEDB_ROOT_API_KEY_FILE", "", _file, "file that holds the first admin key instead"),
    Setting(
        "STEMEDB_REQUIRE_AUTH_ON_PUBLIC_BIND",
        "false",
        _boolean,
        "refuse to start without keys on an address that other hosts can reach",
    ),
    Setting(
        "STEMEDB_ALLOWED_ORIGINS",
        "",
        _origins,
        "web origins whose pages may use the API, with commas between; default none",
    ),
    Setting(
        "STEMEDB_TRUSTED_PROXIES",
        "",
        _networks,
        "addresses or networks of proxies whose X-Forwarded-For counts, with commas between; default none",
    ),
    Setting(
        "STEMEDB_INTERNAL_NETWORKS",
        _INTERNAL,
        _networks,
        "from where trusted proxies may forward requests for /metrics and /v1/admin",
    ),
    Setting("STEMEDB_METER_ENABLED", "false", _boolean, "hold agents and callers to quotas"),
    Setting(
        "STEMEDB_METER_QUOTA",
        str(limits.METER_QUOTA_DEFAULT),
        _whole(limits.METER_COST_CLAIM, limits.METER_QUOTA_MAX),
        "tokens that an agent has for an hour; a caller has ten times as many",
    ),
    Setting(
        "STEMEDB_ADMISSION_ENABLED",
        "false",
        _boolean,
        "ask agents with few claims or little trust for work, and let trust decide how much quota they have",
    ),
    Setting(
        "STEMEDB_CONTENT_DEFENSE_ENABLED",
        "false",
        _boolean,
        "hold back claims of low quality, near-duplicates, and confidence that is not earned",
    ),
)


def read_settings(env: Mapping[str, str]) -> Settings:
    """Return what `env` says; an empty value counts as unset.

    Raises:
        BadSettings: an unknown STEMEDB_ name, or a value that cannot be read. The detail is one line.
    """
    _refuse_unknown(env)
    values: dict[str, object] = {}
    for setting in SETTINGS:
        text = env.get(setting.name, "").strip() or setting.default
        values[setting.field] = _parsed(setting, text)
    if not env.get("STEMEDB_LOG", "").strip() and (rust_log := env.get("RUST_LOG", "").strip()):
        row = next(setting for setting in SETTINGS if setting.field == "log")
        values["log"] = _parsed(row._replace(name="RUST_LOG"), rust_log)
    if not env.get("STEMEDB_KEY_DIR", "").strip():
        values["key_dir"] = Path(str(values["wal_dir"])) / "keys"
    found = Settings(**values)  # type: ignore[arg-type]  # a test holds table and fields together
    _refuse_together(found)
    return found


def is_secret(text: str) -> bool:
    """Say whether a text has the form of an API key."""
    return _SECRET.fullmatch(text) is not None


def _refuse_together(found: Settings) -> None:
    """Refuse what must not be set together; each line names the way out."""
    unsigned, here = "STEMEDB_UNSAFE_SKIP_SIGNATURES=true", f"STEMEDB_BIND_ADDR={found.bind_addr}"
    if found.unsafe_skip_signatures and found.auth_enabled:
        raise BadSettings(f"{unsigned} cannot be together with STEMEDB_AUTH_ENABLED=true; set one to false")
    if found.unsafe_skip_signatures and not found.bind_addr.is_loopback:
        raise BadSettings(f"{unsigned} is for loopback only, not {here}; set it to false or bind 127.0.0.1")
    if found.require_auth_on_public_bind and found.exposed:
        raise BadSettings(
            f"{here} can be reached by others and STEMEDB_REQUIRE_AUTH_ON_PUBLIC_BIND=true; "
            "set STEMEDB_AUTH_ENABLED=true or bind 127.0.0.1"
        )
    wal_dir, db_dir = found.wal_dir.resolve(), found.db_dir.resolve()
    if wal_dir == db_dir or db_dir in wal_dir.parents:
        # Whoever removes the view to have it rebuilt would remove the log with it.
        raise BadSettings("STEMEDB_WAL_DIR is STEMEDB_DB_DIR or lies in it; give the log a folder of its own")
    if found.root_api_key and found.root_api_key_file:
        raise BadSettings("set STEMEDB_ROOT_API_KEY or STEMEDB_ROOT_API_KEY_FILE, not both")


def _parsed(setting: Setting, text: str) -> object:
    try:
        return setting.parse(text)
    except ValueError as error:
        shown = "(hidden)" if setting.secret else repr(text)
        raise BadSettings(f"{setting.name}={shown}: {error}") from None


def _refuse_unknown(env: Mapping[str, str]) -> None:
    known = {setting.name for setting in SETTINGS} | CLIENT_NAMES
    for name in sorted(env):
        if name.startswith(PREFIX) and name not in known:
            raise BadSettings(f"{name} is not a setting; the nearest known name is {_nearest(name, known)}")


def _nearest(name: str, known: Iterable[str]) -> str:
    # Compared without what all of them begin with: it would make any two look alike.
    endings = sorted(each[len(PREFIX) :] for each in known)
    return PREFIX + difflib.get_close_matches(name[len(PREFIX) :], endings, n=1, cutoff=0.0)[0]


def example() -> str:
    """Return the text of `.env.example`: every setting, commented out, with its default."""
    lines = [
        "# Every setting of stemedb-api with its default. Copy to a file and load it into the environment;",
        "# on a provisioned host this is /etc/stemedb/config.env. Unknown STEMEDB_ names stop the start.",
    ]
    for setting in SETTINGS:
        lines += ["", f"# {setting.meaning}", f"#{setting.name}={setting.default}"]
    lines += [
        "",
        "# log level as other services take it; used where STEMEDB_LOG is not set",
        "#RUST_LOG=info",
    ]
    return "\n".join(lines) + "\n"
