"""The recorded set of known flaws of what the locks name: its file, its ranges, OSV's answers in its form.

`requirements/advisories.json` says, for every locked package, which advisories exist; an empty list is a
package that was looked up and has none. It holds facts, not verdicts: whether a locked version is touched is
decided by its ranges. A range runs from `introduced` up to, without it, `fixed`, or up to and with
`last_affected`; one with neither has no end. Versions compare by PEP 440, pre-releases included: 2.0rc1 comes
before 2.0 and is not fixed by it.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from packaging.version import InvalidVersion, Version

FORMAT = 1
FILE = Path(__file__).resolve().parent.parent / "requirements" / "advisories.json"
OSV = "https://api.osv.dev"
TIMEOUT_S = 30
PAGES_MAX = 100
SUMMARY_CHARS_MAX = 160


class Range(NamedTuple):
    """Versions that an advisory touches: from `introduced` up to one of the two ends, or without end."""

    introduced: str
    fixed: str | None = None
    last_affected: str | None = None

    def holds(self, version: Version) -> bool:
        """Say whether `version` lies in it."""
        if self.introduced != "0" and version < Version(self.introduced):
            return False
        if self.fixed is not None:
            return version < Version(self.fixed)
        return self.last_affected is None or version <= Version(self.last_affected)


class Advisory(NamedTuple):
    """One known flaw of one package."""

    id: str
    aliases: tuple[str, ...]
    affected: tuple[Range, ...]
    versions: tuple[str, ...]
    """Affected versions that no range holds."""
    summary: str
    source: str

    def touches(self, version: str) -> bool:
        """Say whether a locked `version` has this flaw."""
        at = Version(version)
        return any(each.holds(at) for each in self.affected) or any(Version(v) == at for v in self.versions)

    def names(self) -> set[str]:
        """Return everything this flaw is called."""
        return {self.id, *self.aliases}


class Recorded(NamedTuple):
    """The whole file. `reaches` is the day up to which the sources told of advisories."""

    recorded: str
    reaches: str
    source: str
    accepted: dict[str, str]
    """Findings that do not concern us: an advisory's id or alias, and why."""
    packages: dict[str, tuple[Advisory, ...]]


def read(file: Path = FILE) -> Recorded:
    """Read the recorded set; refuse another format and whatever is no version or has no source."""
    content = json.loads(file.read_text())
    if content["format"] != FORMAT:
        raise ValueError(f"{file.name} has format {content['format']}, this tool reads {FORMAT}")
    packages = {
        name: tuple(_advisory(each) for each in advisories)
        for name, advisories in content["packages"].items()
    }
    for advisory in (each for advisories in packages.values() for each in advisories):
        if not advisory.source or not (advisory.affected or advisory.versions):
            raise ValueError(f"{advisory.id} names no source or no affected version")
        advisory.touches("0")  # reads every version it names
    return Recorded(content["recorded"], content["reaches"], content["source"], content["accepted"], packages)


def _advisory(entry: dict[str, Any]) -> Advisory:
    ranges = tuple(Range(**each) for each in entry["affected"])
    for version in (at for each in ranges for at in each if at is not None):
        Version(version)
    return Advisory(
        entry["id"],
        tuple(entry["aliases"]),
        ranges,
        tuple(entry.get("versions", ())),
        entry["summary"],
        entry["source"],
    )


def write(recorded: Recorded, file: Path = FILE) -> None:
    """Write the recorded set, sorted, so that two recordings differ only where the facts do."""
    packages = {
        name: [_entry(each) for each in sorted(recorded.packages[name])] for name in sorted(recorded.packages)
    }
    content = {"format": FORMAT, **recorded._asdict(), "packages": packages}
    aside = file.with_suffix(".tmp")
    aside.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    aside.replace(file)


def _entry(advisory: Advisory) -> dict[str, object]:
    ranges = [{key: at for key, at in each._asdict().items() if at is not None} for each in advisory.affected]
    entry = {**advisory._asdict(), "aliases": sorted(advisory.aliases), "affected": ranges}
    return entry if advisory.versions else {key: value for key, value in entry.items() if key != "versions"}


def from_osv(vulnerability: dict[str, Any], package: str) -> Advisory | None:
    """Return OSV's record of a flaw in our form, or nothing when it was withdrawn."""
    if vulnerability.get("withdrawn"):
        return None
    parts = [each for each in vulnerability["affected"] if _is(each, package)]
    ranges = tuple(
        found
        for part in parts
        for each in part.get("ranges", ())
        if each["type"] == "ECOSYSTEM"
        for found in _ranges(each["events"])
    )
    listed = {at for part in parts for at in part.get("versions", ()) if _is_version(at)}
    rest = sorted((at for at in listed if not any(each.holds(Version(at)) for each in ranges)), key=Version)
    text = " ".join((vulnerability.get("summary") or vulnerability.get("details") or "").split())
    summary = text if len(text) <= SUMMARY_CHARS_MAX else text[: SUMMARY_CHARS_MAX - 3] + "..."
    where = f"{OSV}/v1/vulns/{vulnerability['id']}"
    aliases = tuple(vulnerability.get("aliases", ()))
    return Advisory(vulnerability["id"], aliases, ranges, tuple(rest), summary, where)


def _is(part: dict[str, Any], package: str) -> bool:
    described = part.get("package", {})
    return bool(described.get("ecosystem") == "PyPI" and described.get("name", "").lower() == package)


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:  # old uploads carry versions that no lock can name
        return False
    return True


def _ranges(events: Iterable[dict[str, str]]) -> Iterator[Range]:
    """Pair each `introduced` with the first end after it; OSV does not promise an order."""
    # At one version a range's end comes before the next one's start, and a range may be one version long.
    order = {"fixed": 0, "introduced": 1, "last_affected": 2}
    points = sorted(
        (
            (Version(at), order[kind], kind, at)
            for event in events
            for kind, at in event.items()
            if kind in order
        )
    )
    began = None
    for _, _, kind, at in points:
        if kind == "introduced":
            began = began or at
        elif began is not None:
            yield Range(began, **{kind: at})
            began = None
    if began is not None:
        yield Range(began)


def ask(path: str, question: dict[str, object], service: str = OSV) -> dict[str, Any]:
    """Ask OSV; raise OSError or ValueError when there is no answer."""
    request = urllib.request.Request(  # noqa: S310 - https, or a test's own server
        f"{service}{path}", json.dumps(question).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as reply:  # noqa: S310 - as above
        answer = json.load(reply)
    if not isinstance(answer, dict):
        raise TypeError("the answer is no object")
    return answer


def looked_up(package: str, service: str = OSV) -> tuple[Advisory, ...]:
    """Return all that OSV has of a package, over all its pages."""
    question: dict[str, object] = {"package": {"name": package, "ecosystem": "PyPI"}}
    found: list[Advisory] = []
    for _ in range(PAGES_MAX):
        answer = ask("/v1/query", question, service)
        found += filter(None, (from_osv(each, package) for each in answer.get("vulns", ())))
        if not answer.get("next_page_token"):
            return tuple(found)
        question["page_token"] = answer["next_page_token"]
    raise ValueError(f"{package} has more than {PAGES_MAX} pages of advisories")
