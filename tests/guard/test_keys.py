"""API keys: made, told apart, ended at once; the secret itself is nowhere."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stemedb.engine import Engine, EngineSettings, KeyChange, KeyRevocation, open_engine, read_feed
from stemedb.errors import Conflict, Forbidden, NotFound, Unauthorized
from stemedb.guard import ANYONE, Caller, KeyDoor
from stemedb.model import Tier
from stemedb.model.keys import Role, hash_secret, is_secret, key_id, new_secret
from stemedb.model.records import KeyRecord
from tests.builders import SIGNERS, assertion, checked, number


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(EngineSettings(tmp_path / "wal", tmp_path / "db", tmp_path / "keys", 1 << 20, 1))
    yield engine
    engine.close()


def make(engine: Engine, role: Role = Role.ADMIN, *, seed: bool = False, **fields: object) -> str:
    secret = new_secret()
    defaults: dict[str, object] = {"name": "test", "expires_at": None, "agent_ids": (), "best_tier": None}
    record = KeyRecord(secret_hash=hash_secret(secret), role=role, **(defaults | fields))  # type: ignore[arg-type]
    engine.submit_one(KeyChange(record, seed=seed))
    return secret


def id_of(secret: str) -> bytes:
    return key_id(hash_secret(secret))


def test_a_key_is_known_by_its_secret(engine: Engine) -> None:
    secret = make(engine, Role.WRITER, name="agent", agent_ids=(SIGNERS[0].agent_id,), best_tier=Tier.EXPERT)
    caller = KeyDoor(engine.view).identify(secret, time.time())
    assert (caller.role, caller.name, caller.key_id) == (Role.WRITER, "agent", id_of(secret))
    assert not caller.by_admin_key


MALFORMED = [None, "", "x", "steme_live_" + "A" * 43, "steme_live_" + "A" * 42 + "\n", "é" * 54]


@pytest.mark.parametrize("secret", MALFORMED)
def test_anything_else_is_not(engine: Engine, secret: str | None) -> None:
    make(engine)
    with pytest.raises(Unauthorized):
        KeyDoor(engine.view).identify(secret, time.time())


def test_secrets_have_their_form_and_differ() -> None:
    secrets = {new_secret() for _ in range(50)}
    assert len(secrets) == 50
    assert all(is_secret(secret) and len(secret) == len("steme_live_") + 43 for secret in secrets)


def test_a_revoked_or_expired_key_is_refused_at_once(engine: Engine) -> None:
    make(engine)
    revoked, expired = make(engine, Role.READER), make(engine, Role.READER, expires_at=100)
    door = KeyDoor(engine.view)
    assert door.identify(expired, 99.5).role is Role.READER
    with pytest.raises(Unauthorized):
        door.identify(expired, 100)
    door.identify(revoked, 0)
    engine.submit_one(KeyRevocation(id_of(revoked)))
    with pytest.raises(Unauthorized):
        door.identify(revoked, 0)
    assert engine.submit_one(KeyRevocation(id_of(revoked))).status == "exists"
    with pytest.raises(NotFound):
        engine.submit_one(KeyRevocation(bytes(8)))


def test_a_write_that_waits_is_refused_when_its_key_ends(engine: Engine) -> None:
    make(engine)
    secret = make(engine, Role.WRITER)
    engine.submit_one(checked(), id_of(secret))
    engine.submit_one(KeyRevocation(id_of(secret)))
    with pytest.raises(Unauthorized):
        engine.submit_one(checked(object=number(2)), id_of(secret))
    assert engine.view.claims_count == 1


def test_revoking_while_others_write_loses_nothing_and_lets_nothing_in(engine: Engine) -> None:
    make(engine)
    secret = make(engine, Role.WRITER)
    accepted: list[int] = []

    def write() -> None:
        with contextlib.suppress(Unauthorized):
            for index in range(1000):
                seq = engine.submit_one(checked(object=number(index)), id_of(secret)).seq
                accepted.append(seq)

    writer = threading.Thread(target=write)
    writer.start()
    revoked_at = engine.submit_one(KeyRevocation(id_of(secret))).seq
    writer.join()
    assert all(seq < revoked_at for seq in accepted)
    assert engine.view.claims_count == len(accepted)


def test_the_last_admin_key_stays(engine: Engine) -> None:
    first = make(engine)
    make(engine, Role.ADMIN, expires_at=1)  # long dead, so it does not count
    make(engine, Role.WRITER)
    with pytest.raises(Conflict, match="last admin key"):
        engine.submit_one(KeyRevocation(id_of(first)))
    make(engine)
    engine.submit_one(KeyRevocation(id_of(first)))


def test_the_root_key_is_seeded_once(engine: Engine) -> None:
    root = make(engine, seed=True)
    KeyDoor(engine.view).identify(root, 0)
    other = make(engine)
    engine.submit_one(KeyRevocation(id_of(root)))
    late = make(engine, seed=True)
    with pytest.raises(Unauthorized):
        KeyDoor(engine.view).identify(late, 0)
    KeyDoor(engine.view).identify(other, 0)


def test_keys_are_in_the_log_but_not_in_the_feed_and_secrets_nowhere(engine: Engine, tmp_path: Path) -> None:
    secret = make(engine)
    assert [record.type for record in read_feed(engine.log, 0, 10).records] == ["genesis", "hidden"]
    engine.close()
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path


def test_roles_allow_what_the_ones_below_allow() -> None:
    for mine in Role:
        for needed in Role:
            if mine >= needed:
                Caller(mine).require(needed)
            else:
                with pytest.raises(Forbidden):
                    Caller(mine).require(needed)


def test_a_key_binds_to_agents_and_tiers() -> None:
    agent, stranger = SIGNERS[0].agent_id, SIGNERS[1].agent_id
    bound = Caller(Role.WRITER, b"k", "k", frozenset({agent}), Tier.EXPERT)
    bound.require_may_claim(assertion(source_class=Tier.EXPERT), {agent})
    bound.require_may_claim(assertion(source_class=Tier.ANECDOTAL), {agent})
    with pytest.raises(Forbidden, match="Expert at best"):
        bound.require_may_claim(assertion(source_class=Tier.CLINICAL), {agent})
    with pytest.raises(Forbidden, match="bound to other agents"):
        bound.require_may_claim(assertion(), {agent, stranger})
    ANYONE.require_may_claim(assertion(source_class=Tier.REGULATORY), {stranger})
