"""A trace as a person reads it: one claim's whole story, in the order in which it happened."""

from __future__ import annotations

from stemedb.cli.output import print_table, safe, short, shown_value
from stemedb.cli.showing import digits, print_fields
from stemedb.cli.values import shown_time
from stemedb.model.replies import ClaimOut, TraceReply

COLUMNS = ("seq", "when", "what", "who", "says", "id")


def print_trace(trace: TraceReply) -> None:
    """Print the claim, then everything that bears on it, in the order of the log."""
    claim = trace.claim
    print_fields(
        {
            "claim": claim.hash,
            "says": f"{claim.subject} {claim.predicate} = {shown_value(claim.object)}",
            "by": ", ".join(each.agent_id for each in claim.signatures),
            "as": f"{claim.source_class}, {claim.lifecycle}, confidence {claim.confidence:.2f}, "
            f"now {claim.effective_confidence:.2f}",
            "warnings": ", ".join(claim.warnings),
            "hidden by": claim.hidden_by or "",
        }
    )
    print_table(COLUMNS, [row for _, row in sorted(_story(trace), key=lambda each: each[0])])


def _story(trace: TraceReply) -> list[tuple[int, tuple[str, ...]]]:
    """Return each event with its position in the log."""
    endorsers = {each.agent_id for each in trace.endorsements}
    story = [_claim("revised by it", parent) for parent in trace.parents]
    story.append(_claim("the claim", trace.claim, without=endorsers))
    story += [_claim("revises it", child) for child in trace.children]
    for endorsed in trace.endorsements:
        cells = ("endorsement", digits(endorsed.agent_id), "the same", "")
        story.append(_event(endorsed.seq, endorsed.timestamp, cells))
    for vote in trace.votes:
        what = "vote" if vote.live else "vote, taken back"
        story.append(
            _event(
                vote.seq, vote.timestamp, (what, digits(vote.agent_id), f"{vote.weight:+g}", digits(vote.id))
            )
        )
    if (source := trace.source) is not None:
        cells = ("source", "", short(f"{source.title} ({source.status})"), digits(source.source_hash))
        story.append(_event(source.seq, source.timestamp, cells))
    if (epoch := trace.epoch) is not None:
        ended = " (superseded)" if epoch.superseded_by else ""
        cells = ("epoch", digits(epoch.agent_id), short(epoch.name + ended), digits(epoch.id))
        story.append(_event(epoch.seq, epoch.timestamp, cells))
    return story


def _claim(what: str, claim: ClaimOut, without: set[str] | None = None) -> tuple[int, tuple[str, ...]]:
    signers = [each.agent_id for each in claim.signatures if each.agent_id not in (without or set())]
    who = digits(signers[0]) + (f" +{len(signers) - 1}" if len(signers) > 1 else "") if signers else "nobody"
    return _event(claim.seq, claim.timestamp, (what, who, shown_value(claim.object), digits(claim.hash)))


def _event(seq: int, timestamp: int, cells: tuple[str, str, str, str]) -> tuple[int, tuple[str, ...]]:
    return seq, (str(seq), shown_time(timestamp), *map(safe, cells))
