"""Sketches of texts: a few numbers of each, by which near-duplicates are found.

Bottom-k MinHash: of all overlapping pieces of a text, hashed with a secret, the smallest hashes. The share
that two texts have in common among the smallest of both estimates their Jaccard similarity, and is exact
where both have fewer pieces than a sketch has places (Broder, "On the resemblance and containment of
documents", 1997). The hash is a*x + b modulo a prime (Carter and Wegman, 1979): pairwise independence is
enough for bottom-k (Thorup, "Bottom-k and priority sampling, set similarity and subset sums with minimal
independence", 2013). The secret keeps an author from choosing changes that just the sketch does not notice.

Long texts come here, and no other thread of the process runs meanwhile: so nothing walks through them. Every
eighth piece stands in one long integer, a lane of 64 bits for each, and is hashed with all others of it by a
few operations on the whole; eight such integers are all pieces.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from struct import pack, unpack
from typing import Final, NamedTuple

from blake3 import blake3

from stemedb import limits

KEY_BYTES: Final = 32

_PIECE_BYTES: Final = 4
_STRETCH_BYTES: Final = 1024  # four of them at least, in a text that is long
_ANCHORS: Final = 4
_HASH_BYTES: Final = 4
_PRIME: Final = 2**32 - 5  # the greatest that four bytes hold
_BELOW: Final = 2**32 - _PRIME  # so much is 2**32, modulo the prime
_LANE_BYTES: Final = 8
_SPARE: Final = 4  # so many times the hashes wanted are sorted, of many
_MARKS: Final = re.compile(r"[\W_]+")
_BLOCKS: Final = re.compile(r".{1,256}(?=\s)|.{1,256}", re.DOTALL)  # no word is cut that fits
_ASCII_MARKS: Final = bytes(at for at in range(128) if not chr(at).isalnum())
_ASCII_LOWER: Final = bytes(range(256)).lower()


class Pieces(NamedTuple):
    """What a text is made of."""

    data: bytes
    """Its letters and digits, whose overlapping pieces of four bytes are its pieces."""
    counts: Counter[int]
    """How often pieces are there; of a long text every fourth is counted."""

    def are_enough(self) -> bool:
        """Say whether they are so many different ones that being like another text is no chance."""
        if len(self.counts) >= limits.SKETCH_PIECES_MIN:
            return True
        return len(_all_of(self.data)) >= limits.SKETCH_PIECES_MIN


def pieces_of(text: str) -> Pieces:
    """Return the overlapping pieces of four bytes of the letters and digits of a text, all in one case.

    What else changes makes no other text. Of a text without any of them, the pieces of all that it is; of a
    shorter one the whole.
    """
    data = _plain(text)
    if len(data) < _PIECE_BYTES:
        return Pieces(data, Counter([0] if data else []))
    return Pieces(data, _all_of(data) if len(data) <= limits.SCORED_BYTES_MAX else _fourth_of(data))


def _plain(text: str) -> bytes:
    """Return the letters and digits of a text, or all of it where there are none, and only so many bytes.

    Normal forms are made block by block: marks upon marks take time by the square of their number.
    """
    if text.isascii():
        data = text.encode()
        return (data.translate(_ASCII_LOWER, _ASCII_MARKS) or data)[: limits.SKETCH_TEXT_BYTES_MAX]
    plain = bytearray()
    for block in _BLOCKS.findall(text):
        letters = _MARKS.sub("", unicodedata.normalize("NFKC", block).casefold())
        plain += letters.encode("utf-8", "surrogatepass")
        if len(plain) >= limits.SKETCH_TEXT_BYTES_MAX:
            break
    return bytes(plain or text.encode("utf-8", "surrogatepass"))[: limits.SKETCH_TEXT_BYTES_MAX]


def _all_of(data: bytes) -> Counter[int]:
    """Return how often each piece is there."""
    found = Counter[int]()
    for start in range(_PIECE_BYTES):
        found.update(_adjoining(data[start:]))
    return found


def _fourth_of(data: bytes) -> Counter[int]:
    """Return how often pieces are there, of which each begins where another ends.

    They begin at another byte from one stretch to the next: so all is seen of what repeats every few bytes.
    """
    found = Counter[int]()
    for at in range(0, len(data), _STRETCH_BYTES):
        start = at + at // _STRETCH_BYTES % _PIECE_BYTES
        found.update(_adjoining(data[start : at + _STRETCH_BYTES]))
    return found


def _adjoining(data: bytes) -> list[int]:
    return memoryview(data)[: len(data) // _PIECE_BYTES * _PIECE_BYTES].cast("I").tolist()


class Sketcher:
    """Makes sketches with one secret; only those of the same secret can be compared."""

    def __init__(self, key: bytes) -> None:
        """Draw the hash function from `key`."""
        drawn = blake3(key, derive_key_context="stemedb 2026 sketches of texts").digest(length=32)
        self._factor = int.from_bytes(drawn[:16], "big") % (_PRIME - 1) + 1
        self._shift = int.from_bytes(drawn[16:], "big") % _PRIME

    def sketch(self, pieces: Pieces) -> bytes:
        """Return the sketch of a text, empty where it is too short to be like another by more than chance."""
        if not pieces.are_enough():
            return b""
        wanted = limits.SKETCH_HASHES
        lanes = [memoryview(each).cast("Q") for each in self._hashed(pieces.data)]
        total = len(pieces.data) - _PIECE_BYTES + 1
        bound = _PRIME * _SPARE * wanted // total
        smallest = {each for some in lanes for each in some if each < bound}
        if len(smallest) < wanted:  # few pieces, or many times the same
            smallest = {each for some in lanes for each in some}
        hashes = sorted(smallest)[:wanted]
        return pack(f">{len(hashes)}I", *hashes)

    def _hashed(self, data: bytes) -> Iterator[bytes]:
        """Yield the hashes of all pieces, eight bytes for each."""
        whole = int.from_bytes(data, "little")
        for start in range(min(_LANE_BYTES, len(data) - _PIECE_BYTES + 1)):
            count = (len(data) - start - _PIECE_BYTES) // _LANE_BYTES + 1
            ones = int.from_bytes(b"\x01\0\0\0\0\0\0\0" * count, "little")
            low = ones * 0xFFFFFFFF
            # A lane never overflows into the next: (2**32 - 1) * (_PRIME - 1) + _PRIME - 1 < 2**64.
            hashes = ((whole >> 8 * start) & low) * self._factor + ones * self._shift
            for _ in range(2):  # below 2**64, then below 6 * 2**32, then below 2**32 + 26
                hashes = (hashes & low) + ((hashes >> 32) & low) * _BELOW
            over = ((hashes + ones * _BELOW) >> 32) & ones  # 1 in each lane that holds the prime or more
            yield (hashes - over * _PRIME).to_bytes(count * _LANE_BYTES, "little")


def anchors(sketch: bytes) -> tuple[bytes, ...]:
    """Return the first few hashes of a sketch: of two texts that are nearly the same, one is common.

    At a similarity of 0.9 they miss each other about once in ten thousand.
    """
    return tuple(sketch[at : at + _HASH_BYTES] for at in range(0, _ANCHORS * _HASH_BYTES, _HASH_BYTES))


def similarity(one: bytes, other: bytes, least: float = 0.0) -> float:
    """Return the estimated Jaccard similarity of the texts of two sketches, from 0 to 1.

    0 as soon as it is known to be below `least`.
    """
    first, second = _hashes(one), _hashes(other)
    common = first & second
    if len(common) / max(len(first), len(second)) < least:  # what is common among the smallest is no more
        return 0.0
    smallest = sorted(first | second)[: limits.SKETCH_HASHES]
    return len(common.intersection(smallest)) / len(smallest)


def _hashes(sketch: bytes) -> set[int]:
    return set(unpack(f">{len(sketch) // _HASH_BYTES}I", sketch))
