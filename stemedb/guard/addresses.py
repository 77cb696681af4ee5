"""Where a request really comes from: `X-Forwarded-For` counts only from proxies that were named."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, NamedTuple

from stemedb import limits

Network = IPv4Network | IPv6Network
_Address = IPv4Address | IPv6Address

_PREFIX_V6: Final = 64  # one customer has at least so many addresses: they count as one


class Origin(NamedTuple):
    """The address of a client, as far as it can be believed.

    `forwarded`: the request says that it came through a proxy; `by_trusted`: through one that was named.
    """

    address: str
    forwarded: bool
    by_trusted: bool

    @property
    def name(self) -> bytes:
        """The name of its rate limits: the address, of IPv6 the network that one customer has."""
        found = _parse(self.address)
        if isinstance(found, IPv6Address):
            return b"6" + found.packed[: _PREFIX_V6 // 8]
        return self.address.encode("utf-8", "replace")

    @property
    def is_loopback(self) -> bool:
        """Whether it is this host."""
        return _is_loopback(self.address)


def origin_of(
    peer: str, forwarded_for: str | None, trusted: Iterable[Network], *, other_marks: bool
) -> Origin:
    """Return where a request comes from that arrived from `peer`.

    `forwarded_for` is the header's value; `other_marks` says that other headers of proxies are there. The
    header is read from its end: what stands before the first address that is no trusted proxy was written
    by anybody.
    """
    networks = tuple(trusted)
    forwarded = forwarded_for is not None or other_marks
    if not (networks and _within(peer, networks)):
        return Origin(peer, forwarded, by_trusted=False)
    if forwarded_for is None:
        return Origin(peer, forwarded, by_trusted=not forwarded)
    nearest = peer
    for part in reversed(forwarded_for.split(",")):
        found = _parse(part.strip())
        if found is None:
            break  # unreadable: the hop before it is the last that is known
        nearest = str(found)
        if not any(found in network for network in networks):
            break
    return Origin(nearest, forwarded=True, by_trusted=True)


def is_within(address: str, networks: Iterable[Network]) -> bool:
    """Say whether an address lies in one of the networks."""
    return _within(address, tuple(networks))


def _within(address: str, networks: tuple[Network, ...]) -> bool:
    found = _parse(address)
    return found is not None and any(found in network for network in networks)


@lru_cache(maxsize=limits.RATE_NAMES_MAX)
def _is_loopback(address: str) -> bool:
    found = _parse(address)
    return found is not None and found.is_loopback


@lru_cache(maxsize=limits.RATE_NAMES_MAX)
def _parse(text: str) -> _Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found
