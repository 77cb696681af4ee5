"""Write the table of variables into each role's README, from its argument specification.

Usage: role_docs.py [--check]   (only say which README is out of step, with status 1)
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- variables: written by tools/role_docs.py -->", "<!-- end of variables -->"


def main() -> None:
    """Bring every role's README in step, or say which is not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true")
    only_check: bool = parser.parse_args().check
    stale = [readme for readme in readmes() if readme.read_text() != rendered(readme)]
    for readme in stale:
        print(f"{readme.relative_to(ROOT)}: {'out of step' if only_check else 'written'}")
        if not only_check:
            readme.write_text(rendered(readme))
    sys.exit(1 if stale and only_check else 0)


def readmes() -> list[Path]:
    """Every role's README."""
    return [spec.parent.parent / "README.md" for spec in sorted(ROOT.glob("roles/*/meta/argument_specs.yml"))]


def rendered(readme: Path) -> str:
    """The README with the table as the specification has it; the text around it stays.

    Raises:
        ValueError: the README lacks the lines between which the table stands.
    """
    head, begin, rest = readme.read_text().partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{readme} lacks {BEGIN!r} or {END!r}")
    spec = yaml.safe_load((readme.parent / "meta" / "argument_specs.yml").read_text())
    return f"{head}{BEGIN}\n\n{table(spec['argument_specs']['main']['options'])}\n\n{END}{tail}"


def table(options: dict[str, dict[str, Any]]) -> str:
    """One row a variable."""
    if not options:
        return "It has none."
    rows = ["| variable | type | default | |", "|---|---|---|---|"]
    rows += [
        f"| `{name}` | {kind(option)} | `{shown(option['default'])}` | {said(option)} |"
        for name, option in options.items()
    ]
    return "\n".join(rows)


def kind(option: dict[str, Any]) -> str:
    """The type, with its choices."""
    choices = option.get("choices")
    return str(option["type"]) + (": " + ", ".join(f"`{choice}`" for choice in choices) if choices else "")


def shown(value: object) -> str:
    """A default as one would write it in an inventory."""
    return value if isinstance(value, str) and value else json.dumps(value)


def said(option: dict[str, Any]) -> str:
    """The description on one line."""
    text = option["description"]
    return " ".join(" ".join(text if isinstance(text, list) else [text]).split()).replace("|", "\\|")


if __name__ == "__main__":
    main()
