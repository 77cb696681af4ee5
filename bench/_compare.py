"""Ratios against a baseline of the same run: rounds in turn, the median with its spread, one line of JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

ROUNDS = 5


class Ratio(NamedTuple):
    """What one thing is of another: medians, and the ratio round by round."""

    name: str
    ours: float
    baseline: float
    ratios: tuple[float, ...]
    unit: str
    against: str

    @property
    def median(self) -> float:
        """The middle of the rounds' ratios."""
        return statistics.median(self.ratios)


def interleave(
    sides: Mapping[str, Callable[[int], float]], rounds: int = ROUNDS
) -> dict[str, tuple[float, ...]]:
    """Measure each side once a round, the first of a round another each time; the first round only warms up.

    A side is given the round's number, and returns its figure.
    """
    names = list(sides)
    taken: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds + 1):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            taken[name].append(sides[name](number))
    return {name: tuple(values[1:]) for name, values in taken.items()}


def ratio(
    name: str, taken: Mapping[str, Sequence[float]], ours: str, baseline: str, unit: str = "a second"
) -> Ratio:
    """Return what `ours` is of `baseline`, both names of what `interleave` gave."""
    pairs = tuple(a / b for a, b in zip(taken[ours], taken[baseline], strict=True))
    return Ratio(
        name, statistics.median(taken[ours]), statistics.median(taken[baseline]), pairs, unit, baseline
    )


def report(bench: str, found: Sequence[Ratio], **further: object) -> None:
    """Print a table, and as the last line the same as JSON, with the machine it was measured on."""
    width = max(len(each.name) for each in found)
    print(f"{'':<{width}}  {'ours':>12}  {'baseline':>12}  {'ratio':>6}  {'from':>6}  {'to':>6}")
    for each in found:
        print(
            f"{each.name:<{width}}  {each.ours:>12,.1f}  {each.baseline:>12,.1f}  {each.median:>6.2f}  "
            f"{min(each.ratios):>6.2f}  {max(each.ratios):>6.2f}  of {each.against}, {each.unit}"
        )
    rows = [
        {
            "name": each.name,
            "ours": round(each.ours, 3),
            "baseline": round(each.baseline, 3),
            "ratio": round(each.median, 4),
            "ratios": [round(one, 4) for one in each.ratios],
            "against": each.against,
            "unit": each.unit,
        }
        for each in found
    ]
    print(json.dumps({"bench": bench, "machine": machine(), "rows": rows, **further}), flush=True)


def machine() -> dict[str, object]:
    """Return what a figure depends on."""
    return {
        "cpus": os.cpu_count(),
        "cpu": _cpu_model(),
        "python": sys.version.split()[0],
        "kernel": platform.release().split("-")[0],
    }


def _cpu_model() -> str:
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:  # noqa: PTH123 - not a file
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()
