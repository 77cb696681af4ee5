"""What the writer hands to the fold is what the fold would read from the log itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stemedb.engine.batch import Batch
from stemedb.engine.claims import Checked
from stemedb.log import Record
from stemedb.model import Assertion, assertion_id, canonical_bytes
from stemedb.model.records import RecordType
from stemedb.store import View, read_claim
from tests.builders import SIGNERS, checked
from tests.model.strategies import ASSERTIONS


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> Iterator[View]:
    opened = View(tmp_path_factory.mktemp("view"))
    opened.fold(bytes(16), [Record(1, 1, RecordType.ASSERTION, checked().body)])
    yield opened
    opened.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=ASSERTIONS, signers=st.integers(0, 2), by_admin=st.booleans(), sketch=st.binary(max_size=8))
def test_a_claim_is_handed_over_as_it_would_be_read(
    view: View, content: Assertion, *, signers: int, by_admin: bool, sketch: bytes
) -> None:
    canonical = canonical_bytes(content)
    claim_id = assertion_id(canonical)
    signatures = tuple(each.sign(claim_id, content.timestamp) for each in SIGNERS[:signers])
    claim = Checked.of(content, canonical, claim_id, signatures, by_admin=by_admin)
    with view.snapshot() as snapshot:
        batch = Batch(snapshot)
        claim._create(batch, sketch)  # noqa: SLF001  (a judge that gives any sketch would be a longer way)
    assert batch.read == {0: read_claim(batch.drafts[0].body)}
