"""Good inputs, damaged, in great number.

Hypothesis draws damages one by one, which it can shrink to the smallest that shows a fault, and seeds, from
each of which come many more: drawing costs it a thousand times what most decoders take.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

ROUND_EXAMPLES = 200
SEED_INPUTS = 100
KINDS = ("insert", "overwrite", "cut", "double", "flip")
INTERESTING = (
    b"\0",
    b"\xff",
    b"\r\n",
    b"\n",
    b"\r",
    b"%00",
    b'"',
    b"{",
    b"[",
    b"-1",
    b"9" * 40,
    b"\xc3",
    b":",
)


class Damage(NamedTuple):
    """One change: at a share of the length, what happens there, with which bytes."""

    at: float
    kind: str
    data: bytes


_damages = st.lists(
    st.builds(
        Damage,
        st.floats(0, 1, exclude_max=True),
        st.sampled_from(KINDS),
        st.one_of(st.binary(min_size=1, max_size=8), st.sampled_from(INTERESTING)),
    ),
    max_size=6,
)


def damaged(data: bytes, damages: Sequence[Damage]) -> bytes:
    """Return `data` after every damage."""
    found = bytearray(data)
    for at, kind, new in damages:
        place = int(at * len(found))
        if kind == "insert":
            found[place:place] = new
        elif kind == "overwrite":
            found[place : place + len(new)] = new
        elif kind == "cut":
            del found[place : place + 4 * len(new)]
        elif kind == "double":
            found[place:place] = found[place : place + 8 * len(new)]
        elif found:
            found[place] ^= new[0] or 1
    return bytes(found)


def any_damaged(chance: Random, corpus: Sequence[bytes]) -> bytes:
    """Return one of the corpus with damages by chance."""
    damages = [
        Damage(
            chance.random(),
            chance.choice(KINDS),
            chance.choice(INTERESTING) if chance.random() < 0.5 else chance.randbytes(chance.randint(1, 8)),
        )
        for _ in range(chance.randint(0, 6))
    ]
    return damaged(chance.choice(corpus), damages)


def fuzz(
    target: Callable[[bytes], None], corpus: Sequence[bytes], duration_s: float, inputs: int = SEED_INPUTS
) -> int:
    """Give `target` damaged inputs for `duration_s`; return how many. Whatever it raises is a fault.

    `inputs` come from each seed.
    """
    count = 0

    @settings(
        max_examples=ROUND_EXAMPLES,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(
        st.one_of(st.builds(damaged, st.sampled_from(corpus), _damages), st.binary(max_size=200)),
        st.integers(0, 2**64),
    )
    def one_round(data: bytes, seed: int) -> None:
        nonlocal count
        target(data)
        count += 1
        chance = Random(seed)
        for _ in range(inputs):
            data = any_damaged(chance, corpus)
            try:
                target(data)
            except BaseException:
                note(repr(data))
                raise
            count += 1

    until = time.monotonic() + duration_s
    while time.monotonic() < until:
        one_round()
    return count
