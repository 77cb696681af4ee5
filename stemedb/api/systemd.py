"""What the service manager gives and wants to hear: a listening socket, signs of life."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from stemedb import limits
from stemedb.errors import BadSettings, Locked

_FIRST_FD: Final = 3
_MICROSECONDS: Final = 1_000_000


class Notifier:
    """Tells the service manager how things stand (sd_notify); does nothing where there is none."""

    def __init__(self, address: str | None) -> None:
        """Send to the datagram socket at `address` (NOTIFY_SOCKET; `@` means Linux's abstract names)."""
        self._address = "\0" + address[1:] if address and address.startswith("@") else address

    def send(self, *lines: str) -> None:
        """Send assignments such as `READY=1`. A manager that does not listen is no reason to stop."""
        if not self._address:
            return
        with (
            suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock,
        ):
            sock.settimeout(0)
            sock.sendto("\n".join(lines).encode(), self._address)

    def progress(self, text: str) -> None:
        """Show `text` in `systemctl status`, and ask for more time to start."""
        self.send(f"STATUS={text}", f"EXTEND_TIMEOUT_USEC={limits.EXTEND_TIMEOUT_S * _MICROSECONDS}")


def watchdog_s(env: Mapping[str, str]) -> float | None:
    """Return within how many seconds the manager wants a sign of life from us; None if it does not."""
    usec = env.get("WATCHDOG_USEC", "")
    if not usec.isdigit() or env.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(usec) / _MICROSECONDS


def adopt(env: Mapping[str, str], host: str, port: int) -> socket.socket | None:
    """Return the listening socket that the manager passed to this very process; None if it passed none.

    Raises:
        BadSettings: it passed several, or one that does not listen on `host` and `port`.
    """
    if env.get("LISTEN_PID") != str(os.getpid()):
        return None
    if env.get("LISTEN_FDS") != "1":
        raise BadSettings(f"one listening socket is wanted, LISTEN_FDS={env.get('LISTEN_FDS', '')}")
    os.set_inheritable(_FIRST_FD, False)  # noqa: FBT003  (the standard library's signature)
    try:
        listener = socket.socket(fileno=_FIRST_FD)
        listening = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise BadSettings(f"descriptor {_FIRST_FD} is no socket: {error.strerror}") from error
    if not listening or listener.family not in (socket.AF_INET, socket.AF_INET6):
        raise BadSettings("the socket passed does not listen on TCP")
    found_host, found_port = listener.getsockname()[:2]
    if port not in (found_port, 0) or _plain(found_host) not in _resolved(host, port):
        raise BadSettings(
            f"the socket passed listens on {found_host}:{found_port}, STEMEDB_BIND_ADDR is {host}:{port}"
        )
    return listener


def bind(host: str, port: int) -> socket.socket:
    """Return a socket of our own that listens on `host` and `port`.

    Raises:
        Locked: somebody else listens there.
        BadSettings: there is no such address, or this user may not use it.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise BadSettings(f"STEMEDB_BIND_ADDR={host}:{port}: {error.strerror}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(limits.LISTEN_QUEUE_MAX)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise Locked(
                f"{host}:{port} is in use by another process",
                code="port_in_use",
                hint="Stop it, or set STEMEDB_BIND_ADDR to a free port.",
            ) from error
        raise BadSettings(f"STEMEDB_BIND_ADDR={host}:{port}: {error.strerror}") from error
    return listener


def _plain(host: str) -> str:
    return str(ipaddress.ip_address(host.partition("%")[0]))


def _resolved(host: str, port: int) -> set[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        return set()
    return {_plain(str(entry[4][0])) for entry in found}
