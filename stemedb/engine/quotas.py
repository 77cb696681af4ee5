"""Writing quotas: what one agent has of the meter, instead of what everybody has."""

from __future__ import annotations

from typing import NamedTuple

from stemedb.engine.batch import Batch
from stemedb.engine.changes import Settle
from stemedb.errors import NotFound
from stemedb.model.records import QuotaRecord


class QuotaChange(NamedTuple):
    """An agent's own quota (tokens for an hour), or with None the end of it; `by`: the API key's id."""

    agent_id: bytes
    tokens: int | None
    by: bytes = b""
    solo: bool = True
    size_bytes: int = 0

    def decide(self, batch: Batch) -> Settle:
        """Note the quota; the present one again exists. Raises `NotFound` where there is none to end."""
        row = batch.snapshot.quota(self.agent_id)
        if row is not None and row.tokens == self.tokens:
            return batch.exists(self.agent_id, lambda _: row.seq)
        if row is None and self.tokens is None:
            raise NotFound(f"agent {self.agent_id.hex()} has no quota of its own", code="unknown_quota")
        return batch.created(self.agent_id, batch.add_body(QuotaRecord(self.agent_id, self.tokens, self.by)))
