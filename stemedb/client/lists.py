"""Reading what stands beside claims: sources, epochs, aliases, gold standards, agents, subjects, traces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

from stemedb.client.connected import Connected, Params, require_id
from stemedb.client.filters import PRESENT, When
from stemedb.client.verify import verify_epoch, verify_trace
from stemedb.errors import Unprocessable
from stemedb.model.audit import AuditOut, AuditsReply
from stemedb.model.replies import (
    AgentReply,
    AliasesReply,
    AliasOut,
    ConceptsReply,
    EpochOut,
    EpochsReply,
    EscalationsReply,
    GoldStandardOut,
    GoldStandardsReply,
    ImpactReply,
    SourceOut,
    SourcesReply,
    TraceReply,
)


class Page(Protocol):
    """One page of any list."""

    @property
    def next_cursor(self) -> str | None:
        """What asks for the page after it, None on the last one."""
        ...


PageT = TypeVar("PageT", bound=Page)


def pages(ask: Callable[[str | None], PageT]) -> Iterator[PageT]:
    """Yield page after page: `pages(lambda cursor: client.sources(cursor=cursor))`.

    Raises `Unprocessable` where the server names the same cursor again, which would never end.
    """
    cursor = None
    while True:
        page = ask(cursor)
        yield page
        if page.next_cursor is None:
            return
        if page.next_cursor == cursor:
            raise Unprocessable("the server's pages go round in a circle", code="reply_unverified")
        cursor = page.next_cursor


class Lists(Connected):
    """The methods that list, or show one; lists take `limit` (at most 1,000) and a `cursor` to go on from.

    With `when` everything is read as it stood at that moment.
    """

    def sources(
        self, *, limit: int | None = None, cursor: str | None = None, when: When = PRESENT
    ) -> SourcesReply:
        """Return a page of the sources, by hash, without their content."""
        return self._get("/v1/source", SourcesReply, _page(limit, cursor, when))

    def source(self, source_hash: str, when: When = PRESENT) -> SourceOut:
        """Return one source with its content; raises `NotFound` or `Gone`."""
        path = f"/v1/source/{require_id(source_hash, 'source hash')}"
        return self._get(path, SourceOut, when.params())

    def impact(
        self,
        source_hash: str,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        when: When = PRESENT,
    ) -> ImpactReply:
        """Return a source and a page of the claims that rest on it; raises `NotFound` or `Gone`."""
        path = f"/v1/source/{require_id(source_hash, 'source hash')}/impact"
        found = self._get(path, ImpactReply, _page(limit, cursor, when))
        self._check(found.claims)
        return found

    def epochs(
        self, *, limit: int | None = None, cursor: str | None = None, when: When = PRESENT
    ) -> EpochsReply:
        """Return a page of the epochs, in the order of the log."""
        found = self._get("/v1/epoch", EpochsReply, _page(limit, cursor, when))
        self._check_epochs(*found.epochs)
        return found

    def epoch(self, epoch_id: str, when: When = PRESENT) -> EpochOut:
        """Return one epoch with what superseded it; raises `NotFound`."""
        found = self._get(f"/v1/epoch/{require_id(epoch_id, 'epoch id')}", EpochOut, when.params())
        self._check_epochs(found)
        return found

    def aliases(
        self, *, limit: int | None = None, cursor: str | None = None, when: When = PRESENT
    ) -> AliasesReply:
        """Return a page of the aliases, in the order of the log."""
        return self._get("/v1/alias", AliasesReply, _page(limit, cursor, when))

    def alias(self, alias_id: str, when: When = PRESENT) -> AliasOut:
        """Return one alias; raises `NotFound`."""
        return self._get(f"/v1/alias/{require_id(alias_id, 'alias id')}", AliasOut, when.params())

    def gold_standards(
        self, *, limit: int | None = None, cursor: str | None = None, when: When = PRESENT
    ) -> GoldStandardsReply:
        """Return a page of what is settled, in the order of the log."""
        return self._get("/v1/gold-standard", GoldStandardsReply, _page(limit, cursor, when))

    def gold_standard(self, gold_id: str, when: When = PRESENT) -> GoldStandardOut:
        """Return one gold standard; raises `NotFound`."""
        path = f"/v1/gold-standard/{require_id(gold_id, 'gold standard id')}"
        return self._get(path, GoldStandardOut, when.params())

    def agent(self, agent_id: str, when: When = PRESENT) -> AgentReply:
        """Return an agent's trust, its judgements, how many claims it signed by now; a stranger has 0.5."""
        return self._get(f"/v1/agent/{require_id(agent_id, 'agent id')}", AgentReply, when.params())

    def concepts(
        self, prefix: str = "", *, limit: int | None = None, cursor: str | None = None, when: When = PRESENT
    ) -> ConceptsReply:
        """Return a page of the subjects that begin with `prefix`, with how much is said about each."""
        params = ((("prefix", prefix),) if prefix else ()) + _page(limit, cursor, when)
        return self._get("/v1/concepts", ConceptsReply, params)

    def escalations(
        self, *, limit: int | None = None, cursor: str | None = None, when: When = PRESENT
    ) -> EscalationsReply:
        """Return a page of the anecdotal crowds with nothing authoritative beside them."""
        return self._get("/v1/escalations", EscalationsReply, _page(limit, cursor, when))

    def audits(
        self,
        *,
        agent_id: str | None = None,
        since: int | None = None,
        until: int | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> AuditsReply:
        """Return a page of the questions that were asked, the newest first; times in Unix seconds."""
        wanted = (("agent_id", agent_id), ("from", since), ("to", until))
        params = tuple((name, str(value)) for name, value in wanted if value is not None)
        return self._get("/v1/audit/queries", AuditsReply, (*params, *_page(limit, cursor)))

    def audit(self, audit_id: str, *, replay: bool = False) -> AuditOut:
        """Return one audit; with `replay` its question is answered again, at its own moment.

        Raises `NotFound`, also for an audit that is no longer kept.
        """
        path = f"/v1/audit/query/{require_id(audit_id, 'audit id')}"
        return self._get(path, AuditOut, (("replay", "true"),) if replay else ())

    def trace(self, claim_hash: str, when: When = PRESENT) -> TraceReply:
        """Return where a claim comes from and what became of it, every signature in it verified."""
        found = self._get(f"/v1/trace/{require_id(claim_hash)}", TraceReply, when.params())
        self._check([found.claim, *found.parents, *found.children])
        self._expect(claim_hash, found.claim.hash, "traced")
        if self._verify:
            verify_trace(found)
        return found

    def _check_epochs(self, *epochs: EpochOut) -> None:
        if self._verify:
            for epoch in epochs:
                verify_epoch(epoch)


def _page(limit: int | None, cursor: str | None, when: When = PRESENT) -> Params:
    given = (("limit", None if limit is None else str(limit)), ("cursor", cursor))
    return (*((name, text) for name, text in given if text is not None), *when.params())
