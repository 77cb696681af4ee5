"""Real quarrels with known truths: read, normalised and scored as the README beside the data says."""

from __future__ import annotations

import csv
import gzip
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from blake3 import blake3

from bench._claims import checked
from stemedb.client import sign
from stemedb.engine import Checked
from stemedb.model import Assertion, ObjectKind, Signer, Value

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
DAYS = ("20111208", "20111216")
AIRLINES = frozenset({"aa", "ua", "CO"})
ATTRIBUTES = (
    "scheduled_departure",
    "actual_departure",
    "departure_gate",
    "scheduled_arrival",
    "actual_arrival",
    "arrival_gate",
)
CLAIMED_AT_S = 1_323_302_400  # 8 December 2011; no file says when anything was observed
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::\d{2})?\s*([ap])?", re.IGNORECASE)


class Said(NamedTuple):
    """One source's word on one object."""

    subject: str
    predicate: str
    source: str
    value: str


class Quarrels(NamedTuple):
    """Claims, and for the objects whose truth is known the answers that count, the best one first."""

    name: str
    claims: list[Said]
    truths: dict[tuple[str, str], list[str]]

    def counts(self) -> dict[tuple[str, str], Counter[str]]:
        """Return how many sources say what of each object."""
        found: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for said in set(self.claims):
            found[said.subject, said.predicate][said.value] += 1
        return found

    def majorities(self) -> dict[tuple[str, str], str]:
        """Return what most sources say of each object where no two values tie for that."""
        found = {}
        for what, counted in self.counts().items():
            (value, most), *rest = counted.most_common(2)
            if not rest or rest[0][1] < most:
                found[what] = value
        return found

    def shuffled(self, seed: int) -> Iterator[Checked]:
        """Yield the claims signed by their sources, in an order of chance.

        File order gives the answer away: the best source of a thing comes first.
        """
        claims = sorted(set(self.claims))
        random.Random(seed).shuffle(claims)
        signers: dict[str, Signer] = {}
        for said in claims:
            if said.source not in signers:
                signers[said.source] = Signer(blake3(said.source.encode()).digest())
            value = Value(ObjectKind.TEXT, said.value)
            content = Assertion(said.subject, said.predicate, value, 1.0, CLAIMED_AT_S)
            yield checked(sign(content, signers[said.source]))


def birthplaces() -> Quarrels:
    """Return who was born where; right is the most specific name of the true path that anybody claims."""
    folder = DATA / "birthplaces"
    claims = [
        Said(person, "born_in", source, place) for person, source, place in _rows(folder / "claims.csv")
    ]
    said: dict[str, set[str]] = defaultdict(set)
    for each in claims:
        said[each.subject].add(each.value)
    truths = {
        (person, "born_in"): [name for name in path.split(",") if name in said[person]][:1]
        for person, path in _rows(folder / "truths.csv")
    }
    return Quarrels("BirthPlaces", claims, truths)


def flights(day: str) -> Quarrels:
    """Return when and from which gates the flights of a day left and arrived, without the airlines' word."""
    claims, truths = [], defaultdict(list)
    with gzip.open(DATA / "flight" / f"{day}.claims.tsv.gz", "rt", encoding="latin-1") as file:
        for line in file:
            source, flight, *cells = line.rstrip("\r\n").split("\t")
            if source not in AIRLINES:
                claims += [
                    Said(f"{day}/{flight}", attribute, source, value) for attribute, value in _usable(cells)
                ]
    truth_text = (DATA / "flight" / f"{day}.truth.tsv").read_text("latin-1")
    said = {(each.subject, each.predicate) for each in claims}
    for line in truth_text.splitlines():
        flight, *cells = line.split("\t")
        for attribute, value in _usable(cells):
            if (f"{day}/{flight}", attribute) in said:
                truths[f"{day}/{flight}", attribute].append(value)
    return Quarrels(f"flights {day}", claims, dict(truths))


def within_10_min(predicate: str, answer: str, truth: str) -> bool:
    """Say whether an answer is right, or for times at most 10 minutes off, across midnight too."""
    if predicate.endswith("gate"):
        return answer == truth
    (h1, m1), (h2, m2) = (map(int, text.split(":")) for text in (answer, truth))
    apart = abs(60 * (h1 - h2) + m1 - m2)
    return min(apart, 24 * 60 - apart) <= 10  # noqa: PLR2004 - as the name says


def _usable(cells: list[str]) -> Iterator[tuple[str, str]]:
    for attribute, cell in zip(ATTRIBUTES, cells, strict=False):
        read: Callable[[str], str | None] = _gate if attribute.endswith("gate") else _time
        value = read(cell)
        if value is not None:
            yield attribute, value


def _time(cell: str) -> str | None:
    found = _CLOCK.search(cell)
    if found is None:
        return None
    hour, minute, half = int(found[1]), int(found[2]), (found[3] or "").lower()
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    return f"{hour:02}:{minute:02}"


def _gate(cell: str) -> str | None:
    text = cell.rsplit(" - ", 1)[-1].split("/", 1)[0]
    if re.search(r"terminal", text, re.IGNORECASE):
        return None
    letters = re.sub(r"[^A-Z0-9]", "", text.upper())
    digits = re.sub(r"0+(?=[0-9])", "", letters, count=1) if letters[:1] == "0" else letters
    return digits if re.search(r"\d", digits) else None


def _rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [[cell.strip() for cell in row] for row in csv.reader(file)][1:]
