"""`make bench-report`: the tables and charts of docs/performance.md, from recorded results.

Of each measurement the last recorded run counts. What it prints between the page's two marks is all that it
changes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import pygal
from pygal.style import CleanStyle

PAGE: Final = Path(__file__).parent.parent / "docs" / "performance.md"
CHARTS: Final = PAGE.parent / "performance"
RESULTS: Final = CHARTS / "results.ndjson"
BEGIN: Final = "<!-- figures: begin, written by make bench-report -->"
END: Final = "<!-- figures: end -->"

TITLES: Final = {
    "asserting": "One durable claim a request",
    "asking": "One question a request",
    "beside": "Reads beside writes",
    "bulk": "Many claims a request",
    "growing": "What size costs",
    "guards": "What guards cost, and what hostile clients do",
    "parts": "What one durable claim is made of",
    "twins": "Against what one would build instead",
}
"""The measurements whose results are ratios, in the order of the page."""

# Ratio that is aimed at, by measurement, beginning of the row's name, and baseline; at most, where `most`.
TARGETS: Final = (
    ("asserting", "64 clients", "no-op", 0.55, False),
    ("bulk", "10,000 lines", "the write path alone", 0.6, False),
    *(
        ("asking", f"{lens}, 10 claims", "no-op", 0.6, False)
        for lens in ("recency", "confidence", "consensus", "authority", "skeptic", "layered")
    ),
    ("growing", "p99 of a question, 1,000,000", "10,000 claims", 1.5, True),
    ("guards", "p99 under", "quiet", 5.0, True),
    ("beside", "p99 of a question beside bulk", "quiet", 5.0, True),
    ("twins", "one claim", "postgres", 1.2, False),
    ("twins", "bulk, unsigned", "postgres", 1.5, False),
    ("twins", "bulk", "postgres", 1.1, False),
    ("twins", "skeptic, 10 claims", "postgres", 1.0, False),
    ("twins", "skeptic, 1,000 claims", "postgres", 3.0, False),
)

Row = dict[str, Any]


def target(bench: str, row: Row) -> str:
    """Return what is aimed at for a row, and whether it is reached; empty where nothing is."""
    for name, begins, against, wanted, most in TARGETS:
        if name == bench and row["name"].startswith(begins) and row["against"] == against:
            reached = row["ratio"] <= wanted if most else row["ratio"] >= wanted
            return f"{'<=' if most else '>='} {wanted:g}, {'reached' if reached else 'not reached'}"
    return ""


def table(bench: str, claims: int, result: Row) -> list[str]:
    """Return a measurement's table."""
    title = f"{TITLES[bench]}, beside {claims:,} others" if claims else TITLES[bench]
    lines = [
        f"### {title}",
        "",
        f"`python -m bench --claims {claims} {bench}`" if claims else f"`python -m bench {bench}`",
        "",
        "| what | ours | baseline | ratio | rounds | aim |",
        "|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        spread = f"{min(row['ratios']):.2f} to {max(row['ratios']):.2f}"
        lines.append(
            f"| {row['name']} | {row['ours']:,.4g} | {row['baseline']:,.4g} ({row['against']}), "
            f"{row['unit']} | {row['ratio']:.2f} | {spread} | {target(bench, row)} |"
        )
    drawn = [] if claims else [f"![{TITLES[bench]}]({CHARTS.name}/{bench}.svg)", ""]
    return [*lines, "", *drawn]


def chart(bench: str, result: Row) -> None:
    """Draw a measurement's ratios."""
    bars = pygal.HorizontalBar(
        style=CleanStyle, show_legend=False, print_values=True, explicit_size=True, js=[], x_title="ratio"
    )
    bars.title = f"{TITLES[bench]}: ratio to the baseline of the same run"
    bars.x_labels = [f"{row['name']} / {row['against']}" for row in result["rows"]]
    bars.value_formatter = lambda value: f"{value:.2f}"
    bars.add("ratio", [row["ratio"] for row in result["rows"]])
    bars.height = 120 + 26 * len(result["rows"])
    CHARTS.mkdir(exist_ok=True)
    (CHARTS / f"{bench}.svg").write_bytes(bars.render())


def main(arguments: list[str]) -> int:
    """Write tables and charts."""
    recorded = Path(arguments[0]) if arguments else RESULTS
    if not recorded.exists():
        print(f"{recorded} is missing: python -m bench --record {recorded}", file=sys.stderr)
        return 1
    results = {
        (found["name"], found.get("claims", 0)): found["result"]
        for found in map(json.loads, recorded.read_text().splitlines())
        if found["name"] in TITLES
    }
    lines: list[str] = []
    for bench, claims in sorted(results, key=lambda each: (list(TITLES).index(each[0]), each[1])):
        if not claims:
            chart(bench, results[bench, claims])
        lines += table(bench, claims, results[bench, claims])
    machines = {json.dumps(result["machine"], sort_keys=True) for result in results.values()}
    for each in map(json.loads, sorted(machines)):
        lines.insert(
            0,
            f"Machine: {each['cpus']} processors ({each['cpu']}), Linux {each['kernel']}, "
            f"Python {each['python']}; load and servers on the same machine.\n",
        )
    head, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(head + "\n".join([BEGIN, "", *lines, END]) + rest.partition(END)[2])
    print(f"{PAGE.name}: {len(results)} measurements")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
