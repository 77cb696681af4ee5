"""What speaks against a claim: scores, near-duplicates, unearned confidence; at and beside the thresholds."""

from __future__ import annotations

import random
import re
import time
import unicodedata
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from blake3 import blake3
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stemedb import limits
from stemedb.guard.content import NO_TEXT, ContentDefence, Quality, quality_of
from stemedb.model import Assertion, Lifecycle, assertion_id, canonical_bytes
from stemedb.model.quarantine import Doubt, Verdict
from stemedb.model.sketch import Pieces, Sketcher, anchors, pieces_of, similarity
from stemedb.store.rows import TrustRow
from tests.builders import SIGNERS, assertion, number, text

KEY = bytes(range(32))
AGENT, OTHER = SIGNERS[0].agent_id, SIGNERS[1].agent_id
WORDS = [
    "a",
    "trial",
    "of",
    "forty",
    "patients",
    "found",
    "that",
    "nausea",
    "was",
    "the",
    "most",
    "frequent",
    "complaint",
    "in",
    "the",
    "first",
    "two",
    "weeks",
    "and",
    "that",
    "it",
    "went",
    "away",
    "without",
    "treatment",
    "in",
    "nearly",
    "all",
    "of",
    "them",
    "while",
    "the",
    "dose",
    "was",
    "raised",
    "step",
    "by",
    "step",
    "every",
    "month",
]


def prose(seed: int, words: int = 60) -> str:
    chance = random.Random(seed)
    return " ".join(f"{chance.choice(WORDS)}{chance.randrange(100)}" for _ in range(words))


def quality(value: str) -> Quality:
    return quality_of(value, pieces_of(value))


def sketch(value: str, key: bytes = KEY) -> bytes:
    return Sketcher(key).sketch(pieces_of(value))


class Around:
    """The state before a claim: claims with their signers, and trust in millionths."""

    def __init__(self, trust: dict[bytes, int] | None = None) -> None:
        self._trust = trust or {}
        self._claims: dict[bytes, tuple[Assertion, bytes]] = {}
        self._at: dict[bytes, list[bytes]] = {}
        self.snapshot: Any = self  # the two look-ups of a snapshot that a judge makes

    @property
    def state(self) -> Any:  # noqa: ANN401
        return type("State", (), {"applied_seq": 1})

    def trust(self, agent_id: bytes, _seq: int) -> TrustRow | None:
        found = self._trust.get(agent_id)
        # Judged in the far future: nothing has drifted yet.
        return None if found is None else TrustRow(found, 0, 0, 2**60)

    def agent_claims_count(self, _agent_id: bytes) -> int:
        return 0

    def add(self, content: Assertion, agent_id: bytes = AGENT) -> bytes:
        claim_id = assertion_id(canonical_bytes(content))
        made = sketch(str(content.object.value))
        self._claims[claim_id] = (content, made)
        for anchor in anchors(made):
            self._at.setdefault(agent_id + anchor, []).insert(0, claim_id)
        return claim_id

    def texts_at(self, agent_id: bytes, anchor: bytes) -> Iterator[bytes]:
        return iter(self._at.get(agent_id + anchor, ()))

    def text(self, claim_id: bytes) -> Assertion | None:
        found = self._claims.get(claim_id)
        return None if found is None else found[0]

    def sketch(self, claim_id: bytes) -> bytes:
        return self._claims[claim_id][1]


def judged(around: Around, *signers: bytes, **fields: Any) -> Verdict:  # noqa: ANN401
    content = assertion(**{"confidence": 0.5} | fields)
    return ContentDefence(KEY).judge(content, frozenset(signers or (AGENT,))).verdict(around)


# -- quality --


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Paris", Quality(1.0, 2 / 16, 1.0)),
        ("yes", Quality(1.0, 1 / 16, 1.0)),
        ("A", Quality(1.0, 1 / 16, 1.0)),
        ("", Quality(0.0, 0.0, 0.0)),
        ("aaaaaaaaaaaaaaaa", Quality(0.0, 1 / 16, 0.0)),
        ("abababababab", Quality(0.3127, 2 / 16, 0.0)),
        ("!!!!!!!!", Quality(0.0, 1 / 16, 0.0)),
    ],
)
def test_known_texts_look_so(value: str, expected: Quality) -> None:
    assert tuple(quality(value)) == pytest.approx(tuple(expected), abs=1e-3)


@pytest.mark.parametrize(
    "value",
    [
        "yes",
        "Paris",
        "14:05",
        "Mississippi",
        "37 °C",
        "天空是蓝色的",
        "ДНК",
        "c2c1f5d0aa41",
        "https://example.org/a",
        prose(1),
        prose(2, 5000),
    ],
)
def test_what_people_say_is_not_held_back(value: str) -> None:
    assert judged(Around(), object=text(value)).doubts == ()


@pytest.mark.parametrize(
    "value",
    [
        "",
        "aaaaaaaaaaaaaaaaaaaa",
        "!!!!!!!!!!!!",
        "ababababababababab",
        "lol lol lol lol lol lol lol",
        " " * 50,
    ],
)
def test_junk_is_held_back(value: str) -> None:
    assert judged(Around(), object=text(value)).doubts == (Doubt.LOW_QUALITY,)


def test_numbers_are_never_of_low_quality() -> None:
    verdict = judged(Around({AGENT: 0}), object=number(0))
    assert (verdict.doubts, verdict.sketch) == ((), b"")
    assert verdict.scores.quality == 0.8
    assert NO_TEXT.with_trust(1.0) == 1.0


@pytest.mark.parametrize(("trust", "held"), [(0.25, False), (0.2499, True), (0.0, True), (1.0, False)])
def test_the_threshold_of_quality_is_exact(trust: float, held: bool) -> None:  # noqa: FBT001
    found = Quality(entropy=0.5, length=0.5, structure=0.25)  # 0.2 + 0.1 + 0.05
    assert (found.with_trust(trust) < limits.QUALITY_MIN) is held


@given(st.text(max_size=300), st.floats(0, 1))
def test_scores_are_bounded_and_always_the_same(value: str, trust: float) -> None:
    found = quality(value)
    assert all(0.0 <= each <= 1.0 for each in (*found, found.with_trust(trust)))
    assert quality(value) == found


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_the_order_of_words_does_not_count_for_structure(words: list[str], chance: random.Random) -> None:
    shuffled = list(words)
    chance.shuffle(shuffled)
    assert quality(" ".join(words)).structure == quality(" ".join(shuffled)).structure


@given(st.text(alphabet=st.sampled_from("ab_Z \t\x0b\x1c\n.!\x1f"), max_size=60))
@example("aab aaaa aaab aaaaaaa ababababab abc")
def test_texts_of_ascii_are_scored_as_others(value: str) -> None:
    words = set(re.findall(r"\w+", value))
    said = sum(len(word) for word in words if 3 * len(set(word)) >= len(word))
    shown = len(re.sub(r"\s+", "", value))
    assert quality(value).structure == (said / shown if said else 0.0)
    other = value.replace("Z", "\xe9")
    assert quality(other).structure == pytest.approx(quality(value).structure)


@pytest.mark.parametrize("period", [4, 10, 16, 60])
def test_long_texts_are_scored_as_their_beginnings(period: int) -> None:
    part = "".join(map(chr, range(0x30, 0x30 + 10))) + "".join(map(chr, range(0x61, 0x61 + 26)))
    part = (part + part[::-1])[:period]
    whole = quality(part * (limits.SCORED_BYTES_MAX // period))
    long = quality(part * (limits.TEXT_BYTES_MAX // period))
    assert long == pytest.approx(whole, abs=0.01)


# -- confidence --


@pytest.mark.parametrize(
    ("confidence", "trust", "doubts"),
    [
        (0.8, 499_999, ()),
        (0.81, 499_999, (Doubt.UNEARNED_CONFIDENCE,)),
        (0.81, 500_000, ()),
        (1.0, 0, (Doubt.UNEARNED_CONFIDENCE,)),
    ],
)
def test_confidence_must_be_earned(confidence: float, trust: int, doubts: tuple[Doubt, ...]) -> None:
    assert judged(Around({AGENT: trust}), confidence=confidence).doubts == doubts


def test_the_least_trusted_signer_counts() -> None:
    around = Around({AGENT: 900_000, OTHER: 100_000})
    verdict = judged(around, AGENT, OTHER, confidence=0.9)
    assert (verdict.doubts, verdict.scores.trust) == ((Doubt.UNEARNED_CONFIDENCE,), 0.1)
    assert judged(around, AGENT, confidence=0.9).doubts == ()


# -- near-duplicates --


def changed(original: str, words: int) -> str:
    parts = original.split()
    return " ".join([*(f"other{at}" for at in range(words)), *parts[words:]])


def test_a_text_that_is_nearly_another_of_the_same_agent() -> None:
    around, original = Around(), prose(3, 200)
    twin = around.add(assertion(object=text(original)))
    verdict = judged(around, object=text(changed(original, 2)))
    assert verdict.doubts == (Doubt.NEAR_DUPLICATE,)
    assert verdict.scores.similar_to == twin
    assert verdict.scores.similarity >= limits.SIMILARITY_MAX
    assert judged(around, object=text(changed(original, 60))).doubts == ()
    assert judged(around, OTHER, object=text(changed(original, 2))).doubts == ()
    assert judged(around, OTHER, AGENT, object=text(changed(original, 2))).doubts == (Doubt.NEAR_DUPLICATE,)


def test_case_marks_and_white_space_make_no_other_text() -> None:
    around, original = Around(), prose(4)
    around.add(assertion(object=text(original)))
    for same in (original.upper(), original.replace(" ", "\u200b, "), original.replace("a", "\uff41")):
        assert judged(around, object=text(same)).doubts == (Doubt.NEAR_DUPLICATE,)


def test_the_same_value_again_is_not_another_one() -> None:
    around, original = Around(), prose(5)
    around.add(assertion(object=text(original)))
    assert judged(around, subject="elsewhere", object=text(original)).doubts == ()


def test_a_revision_may_be_like_what_it_hides() -> None:
    around, original = Around(), prose(6, 200)
    first = around.add(assertion(object=text(original)))
    second = around.add(assertion(object=text(changed(original, 1)), parent_hash=first))
    revised = text(changed(original, 2))
    assert judged(around, object=revised, parent_hash=second).doubts == ()
    assert judged(around, object=revised, parent_hash=first).scores.similar_to == second
    assert judged(around, object=revised, parent_hash=second, predicate="x").doubts == (Doubt.NEAR_DUPLICATE,)
    approved = around.add(assertion(object=text(prose(7)), lifecycle=Lifecycle.APPROVED))
    again = judged(around, object=text(prose(7) + " x"), parent_hash=approved)
    assert again.doubts == (Doubt.NEAR_DUPLICATE,)  # in an earlier stage it would hide nothing


def test_short_texts_are_compared_with_none() -> None:
    around = Around()
    around.add(assertion(object=text("release 2024.10 of the product")))
    verdict = judged(around, object=text("release 2024.11 of the product"))
    assert (verdict.doubts, verdict.sketch) == ((), b"")


def test_only_so_many_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    around, original = Around(), prose(8, 200)
    around.add(assertion(object=text(original)))
    for most, doubts in ((1, (Doubt.NEAR_DUPLICATE,)), (0, ())):
        monkeypatch.setattr("stemedb.limits.SKETCH_CANDIDATES_MAX", most)
        assert judged(around, object=text(changed(original, 1))).doubts == doubts


# -- sketches --


def pieces(value: str) -> set[bytes]:
    plain = "".join(each for each in value.casefold() if each.isalnum()).encode()
    return {plain[at : at + 4] for at in range(len(plain) - 3)}


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(0, 100))
def test_the_estimate_is_near_the_truth(seed: int, words: int) -> None:
    one, other = prose(seed, 100), changed(prose(seed, 100), words)
    truth = len(pieces(one) & pieces(other)) / len(pieces(one) | pieces(other))
    key = seed.to_bytes(32, "big")
    # Five standard deviations of 128 draws; the seeds are drawn, so this may not be closer.
    assert similarity(sketch(one, key), sketch(other, key)) == pytest.approx(truth, abs=0.22)


@pytest.mark.parametrize(("more", "doubts"), [(5, (Doubt.NEAR_DUPLICATE,)), (6, ())])
def test_the_threshold_of_similarity_is_exact(more: int, doubts: tuple[Doubt, ...]) -> None:
    # 46 letters of two bytes and one of one: 90 pieces of four bytes; five letters more make ten more.
    letters = "z" + "".join(map(chr, range(0x430, 0x430 + 46)))
    longer = letters + "".join(map(chr, range(0x561, 0x561 + more)))
    assert len(pieces(letters)) == 90
    assert len(pieces(longer)) == 90 + 2 * more
    around = Around()
    around.add(assertion(object=text(letters)))
    verdict = judged(around, object=text(longer))
    assert verdict.doubts == doubts
    assert verdict.scores.similarity == (0.9 if doubts else 0.0)


@given(st.text(alphabet="abcdefgh ", min_size=80, max_size=400), st.text(min_size=80, max_size=400))
def test_similarity_is_bounded_and_goes_both_ways(one: str, other: str) -> None:
    first, second = sketch(one), sketch(other)
    if first and second:
        assert similarity(first, first) == 1.0
        likeness = similarity(first, second)
        assert 0.0 <= likeness == similarity(second, first) <= 1.0
        assert similarity(first, second, likeness) == likeness
    assert len(first) <= 4 * limits.SKETCH_HASHES


@given(st.binary(min_size=4, max_size=3000), st.binary(min_size=32, max_size=32))
@example(b"\xff" * 300 + bytes(range(256)) + b"\xfb\xff\xff\xff\xfa\xff\xff\xff", bytes(32))
def test_a_sketch_is_of_the_smallest_hashes(data: bytes, key: bytes) -> None:
    drawn = blake3(key, derive_key_context="stemedb 2026 sketches of texts").digest(length=32)
    prime = 2**32 - 5
    factor, shift = (
        int.from_bytes(drawn[:16], "big") % (prime - 1) + 1,
        int.from_bytes(drawn[16:], "big") % prime,
    )
    different = {int.from_bytes(data[at : at + 4], "little") for at in range(len(data) - 3)}
    smallest = sorted({(factor * each + shift) % prime for each in different})[:128]
    made = Sketcher(key).sketch(Pieces(data, Counter()))
    assert made == (b"".join(each.to_bytes(4, "big") for each in smallest) if len(different) >= 64 else b"")


def test_letters_written_in_two_ways_make_one_sketch() -> None:
    value = " ".join(prose(seed, 100).replace("e", "\xe9") for seed in range(20))
    assert sketch(unicodedata.normalize("NFD", value)) == sketch(value) != b""


def test_marks_upon_marks_take_no_longer_than_words() -> None:
    size = limits.TEXT_BYTES_MAX
    words = " ".join(prose(seed, 500).replace("e", "\xe9") for seed in range(30))[: size // 2]

    def spent(value: str) -> float:
        tries = []
        for _ in range(3):
            began = time.thread_time()
            judged(Around(), object=text(value))
            tries.append(time.thread_time() - began)
        return min(tries)

    # Taken as one block it would be some sixty times as long.
    assert spent("a" + "\u0301\u0323" * (size // 4 - 1)) < 10 * spent(words)


@given(st.integers(0, 10_000), st.integers(0, 30), st.floats(0.0, 1.0))
def test_what_is_certainly_below_is_not_estimated(seed: int, words: int, least: float) -> None:
    first, second = sketch(prose(seed, 100)), sketch(changed(prose(seed, 100), words))
    likeness = similarity(first, second)
    assert similarity(first, second, least) in ({likeness} if likeness >= least else {likeness, 0.0})


def test_another_secret_makes_another_sketch() -> None:
    assert sketch(prose(9)) != sketch(prose(9), bytes(32))


def test_anchors_find_what_is_alike() -> None:
    found = 0
    for seed in range(300):
        key, original = seed.to_bytes(32, "big"), prose(seed, 100)
        one, other = sketch(original, key), sketch(changed(original, 4), key)
        found += bool(set(anchors(one)) & set(anchors(other)))
    assert found >= 298
