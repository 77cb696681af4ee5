"""Reading the view as of one moment: lookups and walks inside one short read transaction."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from types import TracebackType

import lmdb

from stemedb.errors import Corrupt
from stemedb.model.claim import Signature
from stemedb.store import keys, rows
from stemedb.store.fold_quarantine import ALL
from stemedb.store.rows import ClaimRow, EndorsementRow, ViewState
from stemedb.store.table import REBUILD
from stemedb.store.tables import Tables


class Snapshot:
    """One moment of the view. Use as a context manager and leave it soon: it pins freed pages.

    Every method raises `Corrupt` when a row it meets is not what was written.
    """

    def __init__(self, env: lmdb.Environment, tables: Tables, left: Callable[[], None]) -> None:
        """Open the read transaction; `left` is called once it has ended."""
        self._tables = tables
        self._left = left
        # Rows are small: bytes of their own cost less than a view of the page, cut and copied from later.
        self._txn = env.begin()

    def __enter__(self) -> Snapshot:  # noqa: PYI034 - Self came with Python 3.11
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the read transaction; what LMDB found wrong with its pages is `Corrupt`."""
        self._txn.abort()
        self._left()
        if isinstance(error, lmdb.Error):
            detail = f"the view cannot be read: {error}"
            raise Corrupt(detail, code="corrupt_view", ways_out=(REBUILD,)) from error

    # -- positions --

    @property
    def state(self) -> ViewState:
        """Where the fold stood at this moment."""
        return self._tables.meta.require(self._txn, keys.STATE)

    def recorded_at(self, seq: int) -> int:
        """Return when the record `seq` was accepted, in microseconds; `seq` is from 1 to `applied_seq`."""
        return self._tables.moments.require(self._txn, keys.u64(seq))

    def seq_at(self, moment_us: int) -> int:
        """Return the last seq accepted by `moment_us` (microseconds), 0 when there was none.

        `recorded_at` grows with `seq`, so this is a binary search.
        """
        return bisect_right(range(1, self.state.applied_seq + 1), moment_us, key=self.recorded_at)

    def kinds_there(self) -> tuple[bool, bool, bool]:
        """Say whether there is any gold standard, any claim in quarantine, anything erased."""
        tables, txn = self._tables, self._txn
        return tables.golds.count(txn) > 0, tables.held.count(txn) > 0, tables.erased.count(txn) > 0

    # -- claims --

    def claim(self, claim_id: bytes) -> ClaimRow | None:
        """Return the claim with this id, if there is one."""
        key = self._tables.ids.get(self._txn, claim_id)
        return None if key is None else self._tables.claims.require(self._txn, key)

    def walk(
        self, subject: str, predicate: str | None, after_key: bytes | None = None
    ) -> Iterator[tuple[bytes, ClaimRow]]:
        """Yield the claims of a question in reply order with their keys, from behind `after_key` where given.

        All predicates, in byte order, where `predicate` is None.
        """
        return self._tables.claims.walk(self._txn, keys.question_prefix(subject, predicate), after_key)

    def claims(self, subject: str, predicate: str | None) -> Iterator[list[ClaimRow]]:
        """Yield the claims of a question in reply order, some hundred at once; as `walk` in all else."""
        return self._tables.claims.lists(self._txn, keys.question_prefix(subject, predicate))

    def endorsements(self, claim: ClaimRow) -> Iterator[tuple[Signature, EndorsementRow]]:
        """Yield the later signatures of a claim, by agent, each with the row that says when it came."""
        if claim.flags & rows.ENDORSED:
            owner = keys.u64(claim.seq)
            for key, row in self._tables.endorsements.walk(self._txn, owner):
                yield Signature(key[len(owner) :], row.signature, row.timestamp), row

    def votes(self, claim: ClaimRow) -> Iterator[tuple[int, rows.VoteRow]]:
        """Yield the votes on a claim with their seqs, in the order of the log."""
        if claim.flags & rows.VOTED:
            for key, row in self._tables.votes.walk(self._txn, keys.u64(claim.seq)):
                yield keys.seq_of(key), row

    def children(self, claim: ClaimRow) -> Iterator[ClaimRow]:
        """Yield the claims that name this one as their parent, by id."""
        if claim.flags & rows.PARENT:
            for key, _ in self._tables.children.walk(self._txn, claim.id):
                child = self.claim(key[len(claim.id) :])
                if child is not None:
                    yield child

    def erased_at(self, content_id: bytes) -> int | None:
        """Return the seq of the erasure of this id, if it was erased."""
        return self._tables.erased.get(self._txn, content_id)

    # -- statements --

    def known_seq(self, content_id: bytes) -> int | None:
        """Return the seq of the vote, epoch, alias or gold standard with this id, if there is one."""
        return self._tables.known.get(self._txn, content_id)

    def epoch(self, seq: int) -> rows.EpochRow | None:
        """Return the epoch that was recorded at `seq`."""
        return self._tables.epochs.get(self._txn, keys.u64(seq))

    def epochs(self, after_seq: int = 0) -> Iterator[tuple[int, rows.EpochRow]]:
        """Yield the epochs with their seqs, in the order of the log."""
        for key, row in self._tables.epochs.walk(self._txn, after=keys.u64(after_seq)):
            yield keys.seq_of(key), row

    def superseded(self, epoch_id: bytes) -> Iterator[tuple[int, rows.SupersededRow]]:
        """Yield what superseded an epoch, with seqs, in the order of the log."""
        for key, row in self._tables.superseded.walk(self._txn, epoch_id):
            yield keys.seq_of(key), row

    def source(self, source_hash: bytes) -> rows.SourceRow | None:
        """Return a source without its content."""
        return self._tables.sources.get(self._txn, source_hash)

    def sources(self, after: bytes | None = None) -> Iterator[tuple[bytes, rows.SourceRow]]:
        """Yield the sources by hash, from behind `after` where given."""
        return self._tables.sources.walk(self._txn, after=after)

    def content(self, source_hash: bytes) -> str | None:
        """Return a source's content, None where it came without."""
        return self._tables.contents.get(self._txn, source_hash)

    def source_states(self, source_hash: bytes) -> Iterator[tuple[int, rows.SourceStateRow]]:
        """Yield the statuses of a source with their seqs, in the order of the log."""
        for key, row in self._tables.source_states.walk(self._txn, source_hash):
            yield keys.seq_of(key), row

    def source_claims(self, source_hash: bytes, after: bytes | None = None) -> Iterator[bytes]:
        """Yield the ids of the claims that rest on a source, from behind the id `after` where given."""
        start = None if after is None else source_hash + after
        for key, _ in self._tables.source_claims.walk(self._txn, source_hash, start):
            yield key[len(source_hash) :]

    def aliases(self, subject: str) -> Iterator[rows.AliasRow]:
        """Yield what a subject is joined to."""
        for _, row in self._tables.aliases.walk(self._txn, keys.question_prefix(subject, None)):
            yield row

    def joins(self, after_seq: int = 0) -> Iterator[tuple[int, rows.JoinRow]]:
        """Yield every alias with its seq, in the order of the log."""
        for key, row in self._tables.joins.walk(self._txn, after=keys.u64(after_seq)):
            yield keys.seq_of(key), row

    def gold(self, subject: str, predicate: str) -> rows.GoldRow | None:
        """Return the gold standard that stands for a subject and predicate: the last one set."""
        prefix = keys.question_prefix(subject, predicate)
        found = self._tables.settled.last(self._txn, prefix, prefix + keys.u64(self.state.applied_seq))
        return None if found is None else self._tables.golds.require(self._txn, found[0][len(prefix) :])

    def golds(self, after_seq: int = 0) -> Iterator[tuple[int, rows.GoldRow]]:
        """Yield every gold standard with its seq, in the order of the log."""
        for key, row in self._tables.golds.walk(self._txn, after=keys.u64(after_seq)):
            yield keys.seq_of(key), row

    # -- API keys and quotas --

    def api_key(self, key_id: bytes) -> rows.KeyRow | None:
        """Return an API key by its id, revoked ones too."""
        return self._tables.keys.get(self._txn, key_id)

    def api_keys(self, after: bytes | None = None) -> Iterator[tuple[bytes, rows.KeyRow]]:
        """Yield every API key by id, from behind `after` where given."""
        return self._tables.keys.walk(self._txn, after=after)

    def quota(self, agent_id: bytes) -> rows.QuotaRow | None:
        """Return an agent's own quota, None where it has what everybody has."""
        return self._tables.quotas.get(self._txn, agent_id)

    def quotas(self, after: bytes | None = None) -> Iterator[tuple[bytes, rows.QuotaRow]]:
        """Yield every agent with a quota of its own, from behind `after` where given."""
        return self._tables.quotas.walk(self._txn, after=after)

    # -- the quarantine, and texts --

    def held(self, claim_id: bytes) -> rows.HeldRow | None:
        """Return the claim with this id if it is in quarantine, waiting or rejected."""
        return self._tables.held.get(self._txn, claim_id)

    def all_held(self, *, rejected: bool, after: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Yield the ids of claims in quarantine in the order of the log, each with its place in the list."""
        prefix = bytes([rejected])
        return self._tables.held_order.walk(self._txn, prefix, after)

    def waiting_count(self, agent_id: bytes | None = None) -> int:
        """Return how many claims wait in quarantine: an agent's, or all."""
        return self._tables.held_counts.get(self._txn, ALL if agent_id is None else agent_id) or 0

    def once_held(self, claim_id: bytes) -> tuple[int, ...]:
        """Return the seqs of the records that held a claim before it left the quarantine."""
        return self._tables.once_held.get(self._txn, claim_id) or ()

    def texts_at(self, agent_id: bytes, anchor: bytes) -> Iterator[bytes]:
        """Yield an agent's claims whose texts' sketches have this hash among the first, the newest first."""
        for _, claim_id in self._tables.anchors.walk(self._txn, agent_id + anchor):
            yield claim_id

    def sketch(self, claim_id: bytes) -> bytes:
        """Return the sketch of a claim's text, empty where there is none."""
        return self._tables.sketches.get(self._txn, claim_id) or b""

    # -- agents and counts --

    def is_judged(self, gold_id: bytes, agent_id: bytes) -> bool:
        """Say whether an agent was held against a gold standard already."""
        return self._tables.judged.has(self._txn, gold_id + agent_id)

    @property
    def has_trust(self) -> bool:
        """Whether any agent was ever judged."""
        return next(self._tables.trust.walk(self._txn), None) is not None

    def trust(self, agent_id: bytes, seq: int) -> rows.TrustRow | None:
        """Return an agent's last judgement up to `seq`."""
        found = self._tables.trust.last(self._txn, agent_id, keys.owned(agent_id, seq))
        return None if found is None else found[1]

    def agent_claims_count(self, agent_id: bytes) -> int:
        """Return how many claims an agent has signed."""
        return self._tables.agents.get(self._txn, agent_id) or 0

    def questions(
        self, prefix: str, after: bytes | None = None
    ) -> Iterator[tuple[str, str, rows.QuestionRow]]:
        """Yield subjects (beginning with `prefix`) and predicates with their counts, in byte order."""
        for key, row in self._tables.questions.walk(self._txn, prefix.encode(), after):
            yield (*keys.split_question(key), row)

    def escalations(self, after: bytes | None = None) -> Iterator[tuple[str, str]]:
        """Yield the subjects and predicates where a crowd stands with nobody above it."""
        for key, _ in self._tables.escalations.walk(self._txn, after=after):
            yield keys.split_question(key)

    def question(self, subject: str, predicate: str) -> rows.QuestionRow:
        """Return the counts of a subject and predicate."""
        row = self._tables.questions.get(self._txn, keys.question_key(subject, predicate))
        return row or rows.QuestionRow()
