"""`python -m bench [--record FILE] [--claims N] [NAME ...]`: run the named measurements, or all.

With `--record` the line of JSON that each ends with is added to FILE, from which `make bench-report` makes
the tables and charts of docs/performance.md. With `--claims`, those that ask, assert or send bulk do that
beside so many others.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from bench._fill import ENV

HERE = Path(__file__).parent


def main(arguments: list[str]) -> int:
    """Run each measurement in a process of its own, so that none inherits another's heap or threads."""
    known = sorted(path.stem for path in HERE.glob("*.py") if not path.stem.startswith("_"))
    parser = argparse.ArgumentParser(prog="python -m bench", description=f"There are: {', '.join(known)}.")
    parser.add_argument("--record", type=Path, metavar="FILE", help="add each one's line of JSON to FILE")
    parser.add_argument("--claims", type=int, default=0, metavar="N", help="claims that are there already")
    parser.add_argument("names", nargs="*", metavar="NAME", help="which to run; default all")
    given = parser.parse_args(arguments)
    unknown = [name for name in given.names if name not in known]
    if unknown:
        parser.error(f"no measurement {', '.join(unknown)}; there are: {', '.join(known)}")
    os.environ[ENV] = str(given.claims)
    failed = [name for name in given.names or known if not _run(name, given.record, given.claims)]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _run(name: str, record: Path | None, claims: int) -> bool:
    """Run one, showing what it prints as it comes; say whether it ended well."""
    print(f"== {name}", flush=True)
    last = ""
    with subprocess.Popen(
        [sys.executable, "-m", f"bench.{name}"], cwd=HERE.parent, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None  # noqa: S101 - it is a pipe
        for line in child.stdout:
            print(line, end="", flush=True)
            last = line.strip() or last
    print(flush=True)
    if child.returncode == 0 and record is not None:
        record.parent.mkdir(parents=True, exist_ok=True)
        with record.open("a") as out:
            out.write(json.dumps({"name": name, "claims": claims, "result": json.loads(last)}) + "\n")
    return child.returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
