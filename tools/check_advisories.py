"""Compares every version that the locks name with the recorded set of known flaws, without a network.

    check_advisories.py            compare with requirements/advisories.json: a step of `make lint`
    check_advisories.py --live     ask the OSV database as well, which may know newer ones
    check_advisories.py --record   write the recorded set anew from OSV; what was accepted stays

Exit status 0: nothing was found; 1: found, each named; 2: OSV could not be asked, so nothing is known of what
is newer than the recorded set.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from packaging.utils import canonicalize_name

from tools import advisories
from tools.advisories import Recorded

LOCKS = Path(__file__).resolve().parent.parent / "requirements"
PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", re.MULTILINE)
UNREACHED = (OSError, ValueError, KeyError, TypeError)

Pin = tuple[str, str]


def pinned(locks: Path = LOCKS) -> list[Pin]:
    """Return every package and version that a lock names, once."""
    found = {pin for lock in locks.glob("*.txt") for pin in PINNED.findall(lock.read_text())}
    return sorted((canonicalize_name(name), at) for name, at in found)


def findings(pins: list[Pin], recorded: Recorded) -> Iterator[str]:
    """Name what the recorded set says against the locks, and what it lacks or no longer needs."""
    locked = {name for name, _ in pins}
    used = set()
    for name, at in pins:
        for advisory in recorded.packages.get(name, ()):
            if not advisory.touches(at):
                continue
            explained = advisory.names() & recorded.accepted.keys()
            used |= explained
            if not explained:
                yield f"{name} {at}: {advisory.id} {advisory.summary}"
    for name in sorted(locked - recorded.packages.keys()):
        yield f"{name}: locked, but its advisories are not recorded"
    for name in sorted(recorded.packages.keys() - locked):
        yield f"{name}: recorded, but no lock names it any more"
    for name in sorted(recorded.accepted.keys() - used):
        yield f"{name}: accepted, but nothing locked has it"


def live(pins: list[Pin], recorded: Recorded, service: str) -> Iterator[str]:
    """Name what OSV knows of the locked versions and nobody accepted; its short answers carry no aliases."""
    names = [each.names() for of_one in recorded.packages.values() for each in of_one]
    accepted = set(recorded.accepted).union(*(each for each in names if each & recorded.accepted.keys()))
    queries = [{"package": {"name": name, "ecosystem": "PyPI"}, "version": at} for name, at in pins]
    results = advisories.ask("/v1/querybatch", {"queries": queries}, service)["results"]
    for (name, at), result in zip(pins, results, strict=True):
        for flaw in result.get("vulns", ()):
            if flaw["id"] not in accepted:
                yield f"{name} {at}: {flaw['id']} (OSV, today)"


def record(pins: list[Pin], accepted: dict[str, str], service: str) -> Recorded:
    """Return what OSV says today of every locked package."""
    today = datetime.now(timezone.utc).date().isoformat()
    packages = {name: advisories.looked_up(name, service) for name in sorted({name for name, _ in pins})}
    return Recorded(today, today, service, accepted, packages)


def main(arguments: list[str] | None = None) -> int:
    """Compare, ask or record; print what was found; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--live", action="store_true", help="ask OSV as well")
    parser.add_argument("--record", action="store_true", help="write the recorded set anew from OSV")
    parser.add_argument("--service", default=advisories.OSV, help="where OSV answers")
    parser.add_argument("--locks", type=Path, default=LOCKS, help="the folder of locks")
    parser.add_argument("--file", type=Path, default=advisories.FILE, help="the recorded set")
    options = parser.parse_args(arguments)
    pins = pinned(options.locks)
    recorded = advisories.read(options.file)
    try:
        if options.record:
            recorded = record(pins, recorded.accepted, options.service)
            advisories.write(recorded, options.file)
        newer = list(live(pins, recorded, options.service)) if options.live else []
    except UNREACHED as error:
        print(f"{options.service} could not be asked, so nothing is known: {error}", file=sys.stderr)
        return 2
    found = [*findings(pins, recorded), *newer]
    for each in found:
        print(each)
    known = sum(len(each) for each in recorded.packages.values())
    print(
        f"{len(pins)} locked versions, {known} advisories of {len(recorded.packages)} packages "
        f"(recorded {recorded.recorded}, reaching {recorded.reaches}): {len(found)} findings"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
