"""The list of claims in quarantine, for administrators: the one reader that meets them."""

from __future__ import annotations

from stemedb.errors import Corrupt
from stemedb.model.quarantine import DOUBT_NAMES, Scores
from stemedb.model.quarantine_wire import REJECTED, WAITING, HeldOut, QuarantineReply, ScoresOut
from stemedb.model.wire import assertion_to_wire, signature_to_wire
from stemedb.query.paging import Listing, cut_page
from stemedb.store import Snapshot, View
from stemedb.store.table import REBUILD


def list_quarantine(view: View, state: str, listing: Listing) -> QuarantineReply:
    """List the claims that wait, or those that were rejected, in the order of the log.

    Raises `Invalid` for a cursor of another list.
    """
    name = f"quarantine:{state}"
    with view.snapshot() as snapshot:
        found = snapshot.all_held(rejected=state == REJECTED, after=listing.place(name))
        page, cursor = cut_page(name, found, listing, lambda each: each[0])
        return QuarantineReply([_show(snapshot, claim_id) for _, claim_id in page], cursor)


def _show(snapshot: Snapshot, claim_id: bytes) -> HeldOut:
    row = snapshot.held(claim_id)
    if row is None:
        detail = f"view table 'held': claim {claim_id.hex()} is missing"
        raise Corrupt(detail, code="corrupt_view", ways_out=(REBUILD,))
    return HeldOut(
        hash=claim_id.hex(),
        seq=row.seqs[0],
        recorded_at=row.recorded_at,
        state=REJECTED if row.rejected else WAITING,
        reasons=[DOUBT_NAMES[doubt] for doubt in row.doubts],
        scores=_scores(row.scores),
        assertion=dict(assertion_to_wire(row.assertion)),
        signatures=[signature_to_wire(each) for each in row.signatures],
    )


def _scores(scores: Scores) -> ScoresOut:
    similar_to = None if scores.similar_to is None else scores.similar_to.hex()
    numbers = (scores.quality, scores.entropy, scores.length, scores.structure, scores.trust)
    return ScoresOut(*numbers, similarity=scores.similarity, similar_to=similar_to)
