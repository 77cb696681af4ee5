"""Writing API keys: making one, and revoking one."""

from __future__ import annotations

import time
from typing import NamedTuple

from stemedb.engine.batch import Batch
from stemedb.engine.changes import Settle
from stemedb.errors import Conflict, NotFound
from stemedb.model.keys import Role, key_id
from stemedb.model.records import KeyRecord, KeyRevocationRecord
from stemedb.store.rows import KeyRow


class KeyChange(NamedTuple):
    """A new key. `seed`: only if no admin key ever existed."""

    body: KeyRecord
    seed: bool = False
    solo: bool = True
    size_bytes: int = 0

    def decide(self, batch: Batch) -> Settle:
        """Make the key; a seed that comes too late exists."""
        content_id = key_id(self.body.secret_hash)
        row = batch.snapshot.api_key(content_id)
        if row is not None:
            return batch.exists(content_id, lambda _: row.seq)
        if self.seed:
            admins = [other.seq for _, other in batch.snapshot.api_keys() if other.key.role is Role.ADMIN]
            if admins:
                return batch.exists(content_id, lambda _: admins[0])
        return batch.created(content_id, batch.add_body(self.body))


class KeyRevocation(NamedTuple):
    """The end of a key."""

    key_id: bytes
    solo: bool = True
    size_bytes: int = 0

    def decide(self, batch: Batch) -> Settle:
        """Revoke the key; a revoked one exists.

        Raises:
            NotFound: there is no such key.
            Conflict: it is the last admin key that lives.
        """
        row = batch.snapshot.api_key(self.key_id)
        if row is None:
            raise NotFound(f"there is no key {self.key_id.hex()}", code="unknown_key")
        if row.revoked_seq:
            return batch.exists(self.key_id, lambda _: row.revoked_seq)
        if _is_live_admin(row) and not self._another_admin(batch):
            raise Conflict(
                "this is the last admin key that lives",
                code="last_admin_key",
                hint="Make another admin key first.",
            )
        return batch.created(self.key_id, batch.add_body(KeyRevocationRecord(self.key_id)))

    def _another_admin(self, batch: Batch) -> bool:
        return any(_is_live_admin(row) for other, row in batch.snapshot.api_keys() if other != self.key_id)


def _is_live_admin(row: KeyRow) -> bool:
    return row.key.role is Role.ADMIN and row.is_live(time.time())
