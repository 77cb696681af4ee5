"""`stemedb keys`, and the work that a server asks for, against running servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stemedb.client import Client
from stemedb.errors import Unauthorized
from tests.cli.running import Cli
from tests.e2e.guarded import Guarded


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    running = Guarded(tmp_path / "guarded", ADMISSION_ENABLED="true")
    yield running
    running.service.close()


@pytest.fixture
def admin(tmp_path: Path, guarded: Guarded) -> Cli:
    cli = Cli(tmp_path / "home", guarded.service.url)
    cli.env["STEMEDB_API_KEY"] = guarded.root
    return cli


def test_a_key_is_made_used_and_revoked(admin: Cli, guarded: Guarded) -> None:
    made = admin.run("keys", "create", "reader", "a reader", "--expires", "2100-01-01T00:00:00Z")
    secret = made.stdout.strip()
    with Client(guarded.service.url, secret) as client:
        assert client.log_head().seq > 0
        key_id = made.stderr.split()[1].rstrip(";")
        listed = admin("keys", "list")
        assert key_id in listed
        assert secret not in listed
        assert admin("keys", "revoke", key_id) == f"revoked {key_id}\n"
        with pytest.raises(Unauthorized):
            client.log_head()
    states = {key["id"]: key["live"] for key in admin.json("keys", "list")["keys"]}
    assert states[key_id] is False
    assert len(states) == 2


def test_refusals_are_one_line(admin: Cli) -> None:
    (root,) = admin.json("keys", "list")["keys"]
    assert "last admin key" in admin.error("keys", "revoke", root["id"], code=1)
    assert "lower-case hex" in admin.error("keys", "revoke", "../x", code=1)
    assert "/best_tier" not in admin("keys", "create", "writer", "w", "--best-tier", "Expert")
    assert "API key" in admin.error("keys", "list", code=1, env={"STEMEDB_API_KEY": "steme_live_x"})


def test_breakers_are_listed_opened_and_reset(admin: Cli) -> None:
    agent_id = admin.json("keygen", "carol")["agent_id"]
    assert admin.json("breakers", "list") == {"circuit_breakers": []}
    assert admin("breakers", "open", agent_id) == f"{agent_id} open\n"
    assert agent_id in admin("breakers", "list")
    assert "shut out" in admin.error("assert", "work/other", "is", "done", "--as", "carol", code=1)
    assert admin.json("breakers", "reset", agent_id)["state"] == "closed"
    assert admin.json("assert", "work/other", "is", "done", "--as", "carol")["status"] == "created"
    assert "no key called" in admin.error("breakers", "open", "x", code=1)


def test_quotas_are_set_listed_and_ended(admin: Cli) -> None:
    agent_id = admin.json("keygen", "dave")["agent_id"]
    assert admin.json("quotas", "list") == {"quotas": []}
    assert admin("quotas", "set", agent_id, "500").startswith(f"created {agent_id} at seq ")
    assert admin.json("quotas", "set", agent_id, "500")["status"] == "exists"
    (listed,) = admin.json("quotas", "list")["quotas"]
    assert (listed["tokens"], len(listed["by"])) == (500, 16)
    assert f"{agent_id}" in admin("quotas", "list")
    assert admin("quotas", "end", agent_id) == f"ended {agent_id}\n"
    assert "no quota of its own" in admin.error("quotas", "end", agent_id, code=1)
    assert admin.error("quotas", "set", agent_id, "0", code=2)


def test_work_is_done_when_it_is_asked_for(admin: Cli) -> None:
    admin("keygen", "alice")
    assert admin.json("assert", "work/subject", "is", "done", "--as", "alice")["status"] == "created"
