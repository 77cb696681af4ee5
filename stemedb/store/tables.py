"""The tables of the view: what each is keyed by, and what it holds.

| table | key | row |
|---|---|---|
| `claims` | subject NUL predicate NUL inverted timestamp u64, id | the claim |
| `ids` | claim's id | the claim's key in `claims` |
| `endorsements` | claim's seq u64, agent | a later signature |
| `children` | parent's id, child's id | empty |
| `votes` | claim's seq u64, vote's seq u64 | the vote |
| `known` | id of a vote, epoch, alias or gold standard | its seq |
| `epochs` | seq u64 | the epoch |
| `superseded` | old epoch's id, seq u64 | by which, how |
| `sources` | source hash | title and the like |
| `contents` | source hash | the content |
| `source_states` | source hash, seq u64 | status from then on |
| `source_claims` | source hash, claim's id | empty |
| `aliases` | subject NUL 16 bytes of the other's hash (both ways) | the other, when |
| `joins` | seq u64 | the alias, for lists |
| `golds` | seq u64 | what is settled |
| `settled` | subject NUL predicate NUL seq u64 | empty |
| `judged` | gold standard's id, agent | the judgement's seq |
| `trust` | agent, seq u64 | trust after that judgement |
| `agents` | agent | how many claims it signed |
| `questions` | subject NUL predicate | how many claims, by tier |
| `escalations` | subject NUL predicate | empty: a crowd with nobody above it |
| `erased` | id of a claim or source | the erasure's seq |
| `keys` | key's id (8) | the key, without its secret |
| `quotas` | agent | its own quota |
| `held` | claim's id | a claim in quarantine |
| `held_order` | 0 or 1 (rejected), first seq u64 | its id |
| `held_counts` | agent, or `all` | how many claims wait |
| `once_held` | claim's id | seqs of the records that held it while it was in quarantine |
| `sketches` | claim's id | the sketch of its text |
| `anchors` | agent, a hash of the sketch (4), inverted seq u64 | the claim's id |
| `moments` | seq u64 | `recorded_at`, microseconds |
| `meta` | `state` | where the fold stands |
| `format` | `view` | the format's version |

Ids and hashes are 32 bytes. A claim's key is at most 256 + 1 + 128 + 1 + 8 + 32 = 426 of LMDB's 511 bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import lmdb
from blake3 import blake3

from stemedb.store import rows
from stemedb.store.marks import Marks
from stemedb.store.table import Table


class Tables:
    """The open tables of one view, and when what stands in them last changed."""

    def __init__(self, env: lmdb.Environment) -> None:
        """Open all of them."""
        self.claims = Table("claims", rows.ClaimRow)
        self.ids = Table("ids", bytes)
        self.endorsements = Table("endorsements", rows.EndorsementRow)
        self.children = Table("children", type(None))
        self.votes = Table("votes", rows.VoteRow)
        self.known = Table("known", int)
        self.epochs = Table("epochs", rows.EpochRow)
        self.superseded = Table("superseded", rows.SupersededRow)
        self.sources = Table("sources", rows.SourceRow)
        self.contents = Table("contents", str)
        self.source_states = Table("source_states", rows.SourceStateRow)
        self.source_claims = Table("source_claims", type(None))
        self.aliases = Table("aliases", rows.AliasRow)
        self.joins = Table("joins", rows.JoinRow)
        self.golds = Table("golds", rows.GoldRow)
        self.settled = Table("settled", type(None))
        self.judged = Table("judged", int)
        self.trust = Table("trust", rows.TrustRow)
        self.agents = Table("agents", int)
        self.questions = Table("questions", rows.QuestionRow)
        self.escalations = Table("escalations", type(None))
        self.erased = Table("erased", int)
        self.keys = Table("keys", rows.KeyRow)
        self.quotas = Table("quotas", rows.QuotaRow)
        self.held = Table("held", rows.HeldRow)
        self.held_order = Table("held_order", bytes)
        self.held_counts = Table("held_counts", int)
        self.once_held = Table("once_held", tuple[int, ...])
        self.sketches = Table("sketches", bytes)
        self.anchors = Table("anchors", bytes)
        self.moments = Table("moments", int)
        self.meta = Table("meta", rows.ViewState)
        self.marks = Marks()
        for table in self:
            table.open(env)

    def __iter__(self) -> Iterator[Table[Any]]:
        """Yield every table, by name."""
        tables = (each for each in vars(self).values() if isinstance(each, Table))
        return iter(sorted(tables, key=lambda table: table.name))


def state_digest(txn: lmdb.Transaction, tables: Tables) -> str:
    """Return BLAKE3-256 (hex) over every table, key and value, in order, as of a read transaction.

    A table without rows adds nothing: a version that knows one table more gives the same digest.
    """
    hasher = blake3()
    for table in tables:
        for at, (key, value) in enumerate(table.raw(txn)):
            if at == 0:
                hasher.update(b"%s\n" % table.name.encode())
            hasher.update(len(key).to_bytes(4, "big") + len(value).to_bytes(4, "big"))
            hasher.update(key)
            hasher.update(value)
    return hasher.hexdigest()
