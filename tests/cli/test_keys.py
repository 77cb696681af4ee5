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


def test_claims_held_back_are_listed_approved_and_rejected(tmp_path: Path) -> None:
    own = Guarded(tmp_path / "own", CONTENT_DEFENSE_ENABLED="true")
    try:
        cli = Cli(tmp_path / "curator", own.service.url)
        cli.env["STEMEDB_API_KEY"] = own.root
        cli("keygen", "alice")
        junk = "a" * 40
        said = cli.run("assert", "held/one", "is", junk, "--text", "--as", "alice")
        one = said.stdout.split()[1]
        assert said.stdout.startswith("quarantined ")
        assert "nobody sees it" in said.stderr
        two = cli.json("assert", "held/two", "is", junk, "--text", "--as", "alice")["hash"]
        listed = cli("quarantine", "list")
        assert "low_quality" in listed
        assert f"held/one is = {junk}" in listed
        assert [each["hash"] for each in cli.json("quarantine", "list")["quarantine"]] == [one, two]
        assert cli("quarantine", "approve", one).startswith(f"approved {one} at seq ")
        assert cli.json("quarantine", "reject", two)["status"] == "rejected"
        assert cli.json("quarantine", "list")["quarantine"] == []
        assert cli.json("quarantine", "list", "--rejected", "--all")["hash"] == two
        assert "rejected this claim" in cli.error(
            "assert", "held/two", "is", junk, "--text", "--as", "alice", "--timestamp",
            str(_time_of(own, two)), code=1,
        )  # fmt: skip
        assert "left the quarantine" in cli.error("quarantine", "reject", one, code=1)
        assert "in quarantine" in cli.error("quarantine", "approve", "0" * 64, code=1)
        assert "claim id" in cli.error("quarantine", "approve", "x", code=1)
        assert "--help" in cli.run("quarantine", "approve").stderr
        claims = tmp_path / "claims.csv"
        claims.write_text(
            f"subject,predicate,object,source\nheld/three,is,{junk},alice\nheld/four,is,well,alice\n"
        )
        done = cli.run("import", claims)
        assert "2 rows of 1 sources: 1 created" in done.stdout
        assert "1 are held back" in done.stderr
    finally:
        own.service.close()


def _time_of(guarded: Guarded, claim_hash: str) -> int:
    found = guarded.service.get("/v1/admin/quarantine?state=rejected", guarded.header(guarded.root)).json()
    times = {each["hash"]: each["assertion"]["timestamp"] for each in found["quarantine"]}
    when: int = times[claim_hash]
    return when
