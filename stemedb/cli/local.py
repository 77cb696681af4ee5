"""Asking this host's server by its own settings, past the client: for what helps when things are wrong."""

from __future__ import annotations

# Python looks this one up by name at the first connection: too late, if its own folder is root's only.
import encodings.idna  # noqa: F401
from typing import TYPE_CHECKING, Final
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from stemedb import limits
from stemedb.cli import profile as profiles

if TYPE_CHECKING:
    from stemedb.settings import Settings

_ANY_HOST: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


def server_url(settings: Settings) -> str:
    """Return where this host itself finds its server."""
    host, port = settings.bind_addr
    host = _ANY_HOST.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def ask(url: str, *, timeout_s: float = limits.REPORT_WAIT_S) -> bytes:
    """Return what the server says, be it a refusal; raises `OSError` if it says nothing."""
    request = Request(url)  # noqa: S310 - our own address
    if key := profiles.environment().get("STEMEDB_API_KEY"):
        request.add_header("X-API-Key", key)
    # No proxy: neither the question nor the key is anybody else's business.
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=timeout_s) as reply:
            return bytes(reply.read())
    except HTTPError as refusal:
        with refusal:
            return refusal.read()
