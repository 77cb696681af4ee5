"""Quotas of single agents: records that decide, outlive a rebuild, and are refilled at their own rate."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stemedb.engine import Engine, QuotaChange, open_engine, read_feed
from stemedb.errors import NotFound, QuotaExceeded
from stemedb.guard.breaker import Breakers
from stemedb.guard.meter import Meter
from stemedb.guard.toll import TollHouse
from stemedb.query import Listing, list_quotas
from tests.builders import SIGNERS
from tests.durability.small import small_settings

AGENT, OTHER = (signer.agent_id for signer in SIGNERS[:2])
KEY = bytes(range(8))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(small_settings(tmp_path))
    yield engine
    engine.close()


def quota_of(engine: Engine, house: TollHouse, agent_id: bytes) -> float:
    with engine.view.snapshot() as snapshot:
        return house.quota(snapshot, agent_id)


def test_a_quota_is_set_changed_and_ended(engine: Engine) -> None:
    house = TollHouse(Meter(1000), None, Breakers())
    assert quota_of(engine, house, AGENT) == 1000
    made = engine.submit_one(QuotaChange(AGENT, 50, KEY))
    assert made.status == "created"
    again = engine.submit_one(QuotaChange(AGENT, 50))
    assert (again.status, again.seq) == ("exists", made.seq)
    assert (quota_of(engine, house, AGENT), quota_of(engine, house, OTHER)) == (50, 1000)
    (listed,) = list_quotas(engine.view, Listing()).quotas
    assert (listed.agent_id, listed.tokens, listed.by, listed.seq) == (AGENT.hex(), 50, KEY.hex(), made.seq)
    engine.submit_one(QuotaChange(AGENT, 70))
    assert quota_of(engine, house, AGENT) == 70
    engine.submit_one(QuotaChange(AGENT, None))
    assert quota_of(engine, house, AGENT) == 1000
    with pytest.raises(NotFound):
        engine.submit_one(QuotaChange(AGENT, None))
    assert list_quotas(engine.view, Listing()).quotas == []


def test_the_list_has_pages(engine: Engine) -> None:
    for signer in SIGNERS[:3]:
        engine.submit_one(QuotaChange(signer.agent_id, 5))
    first = list_quotas(engine.view, Listing(2))
    rest = list_quotas(engine.view, Listing(2, first.next_cursor))
    found = [each.agent_id for page in (first, rest) for each in page.quotas]
    assert found == sorted(signer.agent_id.hex() for signer in SIGNERS[:3])
    assert rest.next_cursor is None


def test_quotas_are_in_the_log_and_hidden_in_the_feed(tmp_path: Path) -> None:
    settings = small_settings(tmp_path)
    with closing(open_engine(settings)) as engine:
        seq = engine.submit_one(QuotaChange(AGENT, 50, KEY)).seq
        assert read_feed(engine.log, seq - 1, 1).records[0].type == "hidden"
        digest = engine.view.digest()
    shutil.rmtree(tmp_path / "db")
    with closing(open_engine(settings)) as engine:
        assert engine.view.digest() == digest
        assert [each.tokens for each in list_quotas(engine.view, Listing()).quotas] == [50]


def test_a_balance_is_refilled_at_its_own_rate_over_a_restart() -> None:
    before = Meter(3600, clock=lambda: 0.0)
    before.charge_agents([(AGENT, 36.0), (OTHER, 3600.0)], 36)
    after = Meter(3600, clock=lambda: 1000.0)
    after.restore(before.saved(500.0), 600.0)  # 100 s away
    assert after.agent_balance(AGENT, 36.0).remaining == pytest.approx(1)  # 0.01 a second
    assert after.agent_balance(OTHER, 3600.0).remaining == 3600
    with pytest.raises(QuotaExceeded):
        after.charge_agents([(AGENT, 36.0)], 10)
