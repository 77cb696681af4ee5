"""Trust in an agent: integer millionths that every host computes the same (claims.md 3, "Trust").

It starts at one half, moves with each judgement, and drifts back to one half with a half-life of 30 days.
The drift goes by whole days and a table of integers, so that no host's floating point has a say.
"""

from __future__ import annotations

from typing import Final, NamedTuple

TRUST_ONE: Final = 1_000_000
TRUST_START: Final = 500_000
ACCURATE: Final = 50_000
INACCURATE: Final = -100_000
HALF_LIFE_DAYS: Final = 30
DAY_US: Final = 86_400 * 1_000_000

_SCALE: Final = 10**9
# round(2**(-day / 30) * 10**9) for day 0 to 29
_DRIFT: Final = (
    1000000000, 977159968, 954841604, 933032992, 911722489, 890898718, 870550563, 850667161, 831237896,
    812252396, 793700526, 775572381, 757858283, 740548776, 723634619, 707106781, 690956440, 675174973,
    659753955, 644685154, 629960525, 615572207, 601512518, 587773953, 574349177, 561231024, 548412490,
    535886731, 523647061, 511686946,
)  # fmt: skip


class Trust(NamedTuple):
    """An agent's trust at a moment: millionths, and how often it was judged right and wrong."""

    millionths: int = TRUST_START
    accurate: int = 0
    inaccurate: int = 0

    @property
    def fraction(self) -> float:
        """The trust as a number 0..1."""
        return self.millionths / TRUST_ONE


NEUTRAL: Final = Trust()


def drifted(millionths: int, elapsed_us: int) -> int:
    """Return trust after `elapsed_us` (microseconds; whole days count, none below 0) without a judgement."""
    half_lives, day = divmod(max(0, elapsed_us) // DAY_US, HALF_LIFE_DAYS)
    distance = millionths - TRUST_START
    size = (abs(distance) * _DRIFT[day] // _SCALE) >> min(half_lives, 64)
    return TRUST_START + (size if distance >= 0 else -size)


def judged(trust: Trust, elapsed_us: int, *, accurate: bool) -> Trust:
    """Return trust after one more judgement, `elapsed_us` (microseconds) after the last one."""
    moved = drifted(trust.millionths, elapsed_us) + (ACCURATE if accurate else INACCURATE)
    return Trust(min(TRUST_ONE, max(0, moved)), trust.accurate + accurate, trust.inaccurate + (not accurate))
