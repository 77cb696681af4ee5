"""Asks the OSV database for known flaws of every version that the locks name.

Not a part of `make lint`: its answer changes from day to day and needs the network. Exit status 0: asked, and
nothing was found; 1: found, each named; 2: the database could not be asked, so nothing is known.
"""

from __future__ import annotations

import json
import re
import sys
import urllib.request
from pathlib import Path

SERVICE = "https://api.osv.dev/v1/querybatch"
LOCKS = Path(__file__).resolve().parent.parent / "requirements"
PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", re.MULTILINE)
TIMEOUT_S = 30
EXPLAINED: dict[str, str] = {}
"""Findings that do not concern us: an advisory's id, and why."""


def pinned() -> list[tuple[str, str]]:
    """Return every package and version that a lock names, once."""
    return sorted({found for lock in LOCKS.glob("*.txt") for found in PINNED.findall(lock.read_text())})


def main(service: str = SERVICE) -> int:
    """Ask, and print what was found; return the exit status."""
    packages = pinned()
    queries = [{"package": {"name": name, "ecosystem": "PyPI"}, "version": at} for name, at in packages]
    request = urllib.request.Request(  # noqa: S310 - https, or a test's own server
        service, json.dumps({"queries": queries}).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as reply:  # noqa: S310 - as above
            results = json.load(reply)["results"]
    except (OSError, ValueError, KeyError) as error:
        print(f"{service} could not be asked, so nothing is known: {error}", file=sys.stderr)
        return 2
    found = [
        f"{name} {at}: {flaw['id']}"
        for (name, at), result in zip(packages, results, strict=True)
        for flaw in result.get("vulns", ())
        if flaw["id"] not in EXPLAINED
    ]
    print("\n".join([*found, f"{len(packages)} packages, {len(found)} findings"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
