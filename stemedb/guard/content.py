"""Content defence: which claims nobody shall see before an administrator has looked (api.md "Guards").

Three things speak against a claim: a text of low quality, a text that is nearly that of another claim of the
same agent, and a confidence that its signers have not earned. What depends on the claim alone is computed
when it comes in, the rest in the writer, where no other claim can slip in between.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from math import fsum, log2
from typing import TYPE_CHECKING, AnyStr, Final, NamedTuple, Protocol

from stemedb import limits
from stemedb.guard.toll import standings
from stemedb.model.claim import Assertion, ObjectKind
from stemedb.model.quarantine import Doubt, Scores, Verdict
from stemedb.model.sketch import Pieces, Sketcher, anchors, pieces_of, similarity
from stemedb.model.trust import NEUTRAL, TRUST_ONE, TRUST_START

if TYPE_CHECKING:
    from stemedb.store import Snapshot

_ENTROPY_BITS: Final = 8.0  # of pieces, from which on a text is as mixed as texts are
_LENGTH_PIECES: Final = 16  # different ones, from which on a text is long enough
_WORD_CHARS: Final = 3  # characters of a word for each different one in it
_WORDS: Final = re.compile(r"\w+")
_ASCII_WORDS: Final = bytes(at if _WORDS.match(chr(at)) else 0x20 for at in range(128)).ljust(256)
_ASCII_BLANKS: Final = bytes(at for at in range(128) if chr(at).isspace())
_DECIMALS: Final = 6


class Around(Protocol):
    """What a judge may look at: the state before the claim, and the claims before it in its batch."""

    @property
    def snapshot(self) -> Snapshot:
        """The view."""

    def texts_at(self, agent_id: bytes, anchor: bytes) -> Iterator[bytes]:
        """Yield an agent's claims whose texts' sketches have this hash among the first, the newest first."""

    def text(self, claim_id: bytes) -> Assertion | None:
        """Return the claim with this id."""

    def sketch(self, claim_id: bytes) -> bytes:
        """Return the sketch of a claim's text, empty where there is none."""


class Quality(NamedTuple):
    """How a text looks, each from 0 to 1: how mixed it is, how much there is, how much of it is words."""

    entropy: float
    length: float
    structure: float

    def with_trust(self, trust: float) -> float:
        """Return the quality, in the proportions of api.md: 40, 20, 20 and 20 %."""
        return 0.4 * self.entropy + 0.2 * self.length + 0.2 * self.structure + 0.2 * trust


NO_TEXT: Final = Quality(1.0, 1.0, 1.0)
"""Of what is no text: a number cannot be badly written."""


class ContentDefence:
    """Looks at the claims of one service."""

    def __init__(self, key: bytes) -> None:
        """Compare texts by a secret (32 bytes): sketches of another one are of no use."""
        self._sketcher = Sketcher(key)

    def judge(self, assertion: Assertion, signers: frozenset[bytes]) -> Judging:
        """Return who will judge this claim in the writer, with what can be known before."""
        value = assertion.object
        if value.kind is not ObjectKind.TEXT:
            return Judging(assertion, signers, NO_TEXT, b"")
        text = str(value.value)
        pieces = pieces_of(text)
        return Judging(assertion, signers, quality_of(text, pieces), self._sketcher.sketch(pieces))


class Judging(NamedTuple):
    """One claim before its judge."""

    assertion: Assertion
    signers: frozenset[bytes]
    quality: Quality
    sketch: bytes

    def verdict(self, around: Around) -> Verdict:
        """Say what speaks against the claim."""
        trust = self._trust(around.snapshot)
        quality = self.quality.with_trust(trust / TRUST_ONE)
        likeness, twin = self._twin(around)
        doubts = []
        if quality < limits.QUALITY_MIN:
            doubts.append(Doubt.LOW_QUALITY)
        if twin is not None:
            doubts.append(Doubt.NEAR_DUPLICATE)
        if self.assertion.confidence > limits.CONFIDENCE_EARNED_MAX and trust < TRUST_START:
            doubts.append(Doubt.UNEARNED_CONFIDENCE)
        scores = Scores(
            quality=round(quality, _DECIMALS),
            entropy=round(self.quality.entropy, _DECIMALS),
            length=round(self.quality.length, _DECIMALS),
            structure=round(self.quality.structure, _DECIMALS),
            trust=trust / TRUST_ONE,
            similarity=round(likeness, _DECIMALS),
            similar_to=twin,
        )
        return Verdict(tuple(doubts), scores, self.sketch)

    def _trust(self, snapshot: Snapshot) -> int:
        """Return the trust (millionths) in the least trusted who signed; the neutral one for nobody."""
        if not self.signers:
            return NEUTRAL.millionths
        return min(standings(snapshot, agent_id).trust.millionths for agent_id in self.signers)

    def _twin(self, around: Around) -> tuple[float, bytes | None]:
        """Return another value of a signer that is nearly this one, and how alike they are."""
        if not self.sketch:
            return 0.0, None
        candidates = dict.fromkeys(chain.from_iterable(self._candidates(around)))
        kin: frozenset[bytes] | None = None
        for claim_id in islice(candidates, limits.SKETCH_CANDIDATES_MAX):
            likeness = similarity(self.sketch, around.sketch(claim_id), limits.SIMILARITY_MAX)
            if likeness < limits.SIMILARITY_MAX:  # most of them: that long texts share a hash is no wonder
                continue
            found = around.text(claim_id)
            if found is None or found.object == self.assertion.object:
                continue
            kin = self._ancestors(around) if kin is None else kin
            if claim_id not in kin:
                return likeness, claim_id
        return 0.0, None

    def _candidates(self, around: Around) -> Iterator[Iterator[bytes]]:
        """Yield, for each signer and anchor, the newest claims that may be alike."""
        for agent_id in sorted(self.signers):
            for anchor in anchors(self.sketch):
                yield islice(around.texts_at(agent_id, anchor), limits.SKETCH_CANDIDATES_MAX)

    def _ancestors(self, around: Around) -> frozenset[bytes]:
        """Return the claims that this one revises and so hides: it does not say them once more."""
        found: set[bytes] = set()
        child = self.assertion
        while (parent_id := child.parent_hash) is not None and len(found) < limits.ANCESTORS_MAX:
            parent = around.text(parent_id)
            if parent is None or not _may_hide(child, parent):
                break
            found.add(parent_id)
            child = parent
        return frozenset(found)


def _may_hide(child: Assertion, parent: Assertion) -> bool:
    same_question = (child.subject, child.predicate) == (parent.subject, parent.predicate)
    return same_question and child.lifecycle >= parent.lifecycle


def quality_of(text: str, pieces: Pieces) -> Quality:
    """Return how a text with these pieces looks.

    Entropy: that of the pieces (Shannon 1948), in parts of the most that so many of them can have, 8 bits at
    most. Length: its different pieces, of 16 wanted; what is repeated does not make
    a text longer. Structure: the part of its characters that stand in different words, where a word does not
    consist of a few characters over and over.
    """
    counts = pieces.counts
    if not counts:
        return Quality(0.0, 0.0, 0.0)
    return Quality(_entropy(counts), min(1.0, len(counts) / _LENGTH_PIECES), _structure(text))


def _entropy(counts: Counter[int]) -> float:
    total = counts.total()
    most_bits = min(_ENTROPY_BITS, log2(total))
    if not most_bits:
        return 1.0  # one piece repeats nothing
    bits = fsum(
        -many * count / total * log2(count / total) for count, many in Counter(counts.values()).items()
    )
    return min(1.0, max(0.0, bits / most_bits))


def _structure(text: str) -> float:
    if text.isascii():  # the same, in a third of the time
        data = text.encode()
        said = _said(set(data.translate(_ASCII_WORDS).split()))
        return said / len(data.translate(None, _ASCII_BLANKS)) if said else 0.0
    said = _said(set(_WORDS.findall(text)))
    return said / sum(map(len, text.split())) if said else 0.0


def _said(words: Iterable[AnyStr]) -> int:
    """Return the length of the words that do not consist of a few characters over and over."""
    return sum(
        [
            size
            for word in words
            if (size := len(word)) <= _WORD_CHARS
            or (
                word[0] != word[1] or word.strip(word[:1])  # two different ones are enough
                if size <= 2 * _WORD_CHARS
                else _WORD_CHARS * len(set(word)) >= size
            )
        ]
    )
