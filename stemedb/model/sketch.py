"""Sketches of texts: a few numbers of each, by which near-duplicates are found.

Bottom-k MinHash: of all overlapping pieces of a text, hashed with a secret, the smallest hashes. The share
that two texts have in common among the smallest of both estimates their Jaccard similarity, and is exact
where both have fewer pieces than a sketch has places (Broder, "On the resemblance and containment of
documents", 1997). The hash is a*x + b modulo a prime (Carter and Wegman, 1979): pairwise independence is
enough for bottom-k (Thorup, "Bottom-k and priority sampling, set similarity and subset sums with minimal
independence", 2013). The secret keeps an author from choosing changes that just the sketch does not notice.

Long texts come here, and no other thread of the process runs meanwhile: so whole lists are handed to what is
written in C, instead of walking through them.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from heapq import nsmallest
from itertools import repeat
from operator import add, mod, mul
from struct import Struct
from typing import Final

from blake3 import blake3

from stemedb import limits

KEY_BYTES: Final = 32
Pieces = Counter[int]
"""The pieces of a text, each as a number, and how often it is there."""

_PIECE_BYTES: Final = 4
_ANCHORS: Final = 4
_HASH: Final = Struct(">I")
_PRIME: Final = 2**32 - 5  # the greatest that four bytes hold
_SPARE: Final = 4  # so many times the hashes wanted are sorted, of many
_MARKS: Final = re.compile(r"[\W_]+")


def pieces_of(text: str) -> Pieces:
    """Return the overlapping pieces of four bytes of the letters and digits of a text, all in one case.

    What else changes makes no other text. Of a text without any of them, the pieces of all that it is; of a
    shorter one the whole.
    """
    plain = _MARKS.sub("", unicodedata.normalize("NFKC", text).casefold()) or text
    data = memoryview(plain.encode("utf-8", "surrogatepass")[: limits.SKETCH_TEXT_BYTES_MAX])
    if len(data) < _PIECE_BYTES:
        return Counter([0] if data else [])
    pieces: Pieces = Counter()
    for start in range(_PIECE_BYTES):
        whole_bytes = (len(data) - start) // _PIECE_BYTES * _PIECE_BYTES
        pieces.update(data[start : start + whole_bytes].cast("I").tolist())
    return pieces


class Sketcher:
    """Makes sketches with one secret; only those of the same secret can be compared."""

    def __init__(self, key: bytes) -> None:
        """Draw the hash function from `key`."""
        drawn = blake3(key, derive_key_context="stemedb 2026 sketches of texts").digest(length=32)
        self._factor = int.from_bytes(drawn[:16], "big") % (_PRIME - 1) + 1
        self._shift = int.from_bytes(drawn[16:], "big") % _PRIME

    def sketch(self, pieces: Pieces) -> bytes:
        """Return the sketch of a text, empty where it is too short to be like another by more than chance."""
        count, wanted = len(pieces), limits.SKETCH_HASHES
        if count < limits.SKETCH_PIECES_MIN:
            return b""
        products = map(mul, pieces, repeat(self._factor))
        hashes: Iterable[int] = map(mod, map(add, products, repeat(self._shift)), repeat(_PRIME))
        if count > 2 * _SPARE * wanted:
            hashes = list(hashes)
            bound = _PRIME * _SPARE * wanted // count
            hashes = _at_least(wanted, [each for each in hashes if each < bound], hashes)
        return b"".join(map(_HASH.pack, sorted(set(hashes))[:wanted]))


def _at_least(count: int, some: list[int], every: list[int]) -> list[int]:
    """Return `some` if they are as many as that, which chance nearly always has it."""
    return some if len(set(some)) >= count else every


def anchors(sketch: bytes) -> tuple[bytes, ...]:
    """Return the first few hashes of a sketch: of two texts that are nearly the same, one is common.

    At a similarity of 0.9 they miss each other about once in ten thousand.
    """
    return tuple(sketch[at : at + _HASH.size] for at in range(0, _ANCHORS * _HASH.size, _HASH.size))


def similarity(one: bytes, other: bytes) -> float:
    """Return the estimated Jaccard similarity of the texts of two sketches, from 0 to 1."""
    first, second = _hashes(one), _hashes(other)
    smallest = nsmallest(limits.SKETCH_HASHES, first | second)
    return sum(each in first and each in second for each in smallest) / len(smallest)


def _hashes(sketch: bytes) -> set[bytes]:
    return {sketch[at : at + _HASH.size] for at in range(0, len(sketch), _HASH.size)}
