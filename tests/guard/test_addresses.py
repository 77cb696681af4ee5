"""Where requests come from: nobody makes themselves another."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from stemedb.guard.addresses import Origin, origin_of

TRUSTED = (ip_network("127.0.0.1"), ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def origin(peer: str, forwarded_for: str | None = None, *, other_marks: bool = False) -> Origin:
    return origin_of(peer, forwarded_for, TRUSTED, other_marks=other_marks)


def test_a_stranger_is_where_it_is_whatever_it_says() -> None:
    assert origin("203.0.113.9", "127.0.0.1") == Origin("203.0.113.9", forwarded=True, by_trusted=False)
    assert origin("203.0.113.9") == Origin("203.0.113.9", forwarded=False, by_trusted=False)
    assert origin_of("127.0.0.1", "10.1.1.1", (), other_marks=False).address == "127.0.0.1"


@pytest.mark.parametrize(
    ("forwarded_for", "address"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("10.9.9.9, 203.0.113.9", "203.0.113.9"),  # the first part is the client's own invention
        ("1.2.3.4, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("203.0.113.9, unknown", "127.0.0.1"),
        (" ", "127.0.0.1"),
        ("", "127.0.0.1"),
        ("x" * 5000, "127.0.0.1"),
    ],
)
def test_a_trusted_proxy_is_read_from_the_end(forwarded_for: str, address: str) -> None:
    found = origin("127.0.0.1", forwarded_for)
    assert (found.address, found.forwarded) == (address, True)


def test_other_marks_of_a_proxy_do_not_count_as_its_word() -> None:
    assert origin("127.0.0.1", None, other_marks=True).forwarded
    assert not origin("127.0.0.1", None, other_marks=True).by_trusted
    assert origin("127.0.0.1").by_trusted


def test_one_customers_addresses_are_one_client() -> None:
    one, other = origin("2001:db8:1:2::3").name, origin("2001:db8:1:2:ffff::9").name
    assert one == other
    assert origin("2001:db8:1:3::3").name != one
    assert origin("203.0.113.9").name != origin("203.0.113.8").name
