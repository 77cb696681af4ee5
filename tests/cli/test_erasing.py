"""`stemedb erase` against a running server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.running import Cli


@pytest.fixture
def alice(cli: Cli) -> Cli:
    cli("keygen", "alice")
    return cli


def claimed(cli: Cli, subject: str) -> str:
    claim_hash: str = cli.json("assert", subject, "name", "somebody", "--as", "alice")["hash"]
    return claim_hash


def test_erase_now_says_that_it_is_gone(alice: Cli) -> None:
    one, other = claimed(alice, "erase/one"), claimed(alice, "erase/other")
    first, *copies = alice("erase", one, other, "--reason", "a wish", "--now").splitlines()
    assert first.startswith("erased at seq ")
    assert [line.split() for line in copies] == [["log", "gone"], ["view", "gone"]]
    again, *_ = alice("erase", one, "--reason", "a wish").splitlines()
    assert again == first.replace("erased", "erased before")
    assert alice("query", "erase/one", "--all", "--json") == ""


def test_erase_later_says_by_when(alice: Cli) -> None:
    lines = alice("erase", claimed(alice, "erase/later"), "--reason", "a wish").splitlines()
    assert lines[1].split() == ["log", "gone"]
    assert lines[2].startswith("view  gone by 2")
    assert alice("erase", claimed(alice, "erase/two"), "--reason", "a wish", "--now")


def test_erase_prints_json(alice: Cli) -> None:
    reply = alice.json("erase", claimed(alice, "erase/json"), "--reason", "a wish", "--now")
    assert reply["status"] == "created"
    assert reply["copies"] == [
        {"name": "log", "state": "done", "until": None},
        {"name": "view", "state": "done", "until": None},
    ]


def test_erase_refuses(alice: Cli) -> None:
    assert "there is no claim or source" in alice.error("erase", "ab" * 32, "--reason", "x", code=1)
    assert "/hashes/0" in alice.error("erase", "short", "--reason", "x", code=1)
    assert "--help" in alice.error("erase", "ab" * 32, code=2)
    assert "--help" in alice.error("erase", "--reason", "x", code=2)
