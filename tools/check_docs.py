"""`make docs`: every link between the repository's Markdown files leads somewhere, headings included.

Links to the outside are left alone: whether they answer says nothing about this repository.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\[[^\]\[]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
NOT_OURS = {"build", "data", "node_modules"}


def anchors(text: str) -> set[str]:
    """Return the anchors that a Markdown viewer makes of a text's headings."""
    titles = (re.sub(r"[`*]", "", title) for title in HEADING.findall(FENCE.sub("", text)))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def documents() -> list[Path]:
    """Return the repository's own Markdown files."""
    paths = sorted(ROOT.rglob("*.md"))
    return [
        path
        for path in paths
        if not any(part in NOT_OURS or part.startswith(".") for part in path.relative_to(ROOT).parts)
    ]


def broken_links(path: Path) -> list[str]:
    """Return one line for each link of `path` that leads nowhere."""
    broken = []
    for target in LINK.findall(FENCE.sub("", path.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        if not file.exists():
            broken.append(f"{path.relative_to(ROOT)}: no such file: {target}")
        elif anchor and file.suffix == ".md" and anchor not in anchors(file.read_text()):
            broken.append(f"{path.relative_to(ROOT)}: no such heading: {target}")
    return broken


def main() -> int:
    """Check all documents; return the exit status."""
    paths = documents()
    broken = [line for path in paths for line in broken_links(path)]
    for line in broken:
        print(line, file=sys.stderr)
    print(f"{len(paths)} documents, {len(broken)} broken links")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
