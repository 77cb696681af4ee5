"""`stemedb top`: what a server does right now, on one screen that renews itself."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click
import msgspec

from stemedb import limits
from stemedb.cli.figures import Figures, Look, figures_of, look
from stemedb.cli.output import print_json, safe
from stemedb.cli.session import connected

if TYPE_CHECKING:
    from stemedb.cli.session import Session
    from stemedb.client import Client
    from stemedb.model.replies import HealthReply

Lines = dict[str, str]


@click.command(epilog="\b\nExample:\n  stemedb top --interval-s 5\n  stemedb top --json | jq .rates.claims")
@click.option(
    "--interval-s",
    type=click.FloatRange(limits.TOP_INTERVAL_S_MIN, limits.TOP_INTERVAL_S_MAX),
    default=limits.TOP_INTERVAL_S_DEFAULT,
    show_default=True,
    help="Seconds between two looks; rates are those between.",
)
@click.option("--once", is_flag=True, help="Look twice, print once, end; so it is anyway in a pipe.")
@connected
def top(*, session: Session, interval_s: float, once: bool, as_json: bool) -> int:
    """Show rates, latencies, queues, positions and guards, from the server's metrics, until Ctrl-C.

    Needs a key of role reader or more where the server asks for keys.
    """
    with session.client() as client:
        before = look(client)
        if once or as_json or not sys.stdout.isatty():
            time.sleep(interval_s)
            health, found = client.health(), figures_of(look(client), before)
            if as_json:
                shown = {"url": session.profile.url, "status": health.status, **msgspec.to_builtins(found)}
                print_json(shown)
            else:
                for text in _text(screen(session.profile.url, health, found)):
                    click.echo(text)
            return 0
        _renew(session.profile.url, client, before, interval_s)
    return 0


def _renew(url: str, client: Client, before: Look, interval_s: float) -> None:
    """Draw the screen again and again until the user ends it."""
    # rich is slow to load: only a terminal pays for it.
    from rich.live import Live  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    with Live(Text("looking ..."), screen=True, auto_refresh=False) as live:
        try:
            while True:
                time.sleep(interval_s)
                now = look(client)
                lines = screen(url, client.health(), figures_of(now, before))
                live.update(Text("\n".join(_text(lines))), refresh=True)
                before = now
        except KeyboardInterrupt:
            return  # the way to end it


def screen(url: str, health: HealthReply, found: Figures) -> dict[str, Lines]:
    """Return the screen's parts, each with its lines by name."""
    rates, latency, behind = found.rates, found.latency, found.log_seq - found.view_seq
    threads = f"{found.workers_busy} of {found.workers} threads busy"
    parts = {
        "server": {"address": url, "status": health.status, "version": health.version},
        "now": {},
        "answers": {
            "p50, p95, p99": ", ".join(
                _ms(each) for each in (latency.p50_ms, latency.p95_ms, latency.p99_ms)
            ),
        },
        "queues": {
            "changes": f"{found.queued_changes:,} of {found.queued_changes_max:,}",
            "requests": f"{found.requests_waiting:,} waiting, {threads}",
            "connections": f"{found.connections:,} of {found.connections_max:,}",
        },
        "storage": {
            "log": f"at {found.log_seq:,}, {found.segments} segments, {size(found.log_bytes)}",
            "view": f"at {found.view_seq:,} ({behind:,} behind), {found.claims_count:,} claims",
            "map": f"{found.map_use:.1%} used",
            "disk free": ", ".join(
                f"{name} {size(free)}" for name, free in sorted(found.disk_free_bytes.items())
            ),
        },
        "guards": {
            "breakers open": f"{found.breakers_open:,}",
            "quarantined": f"{found.quarantine_pending:,}",
            "keys": "NOT asked for, on a public address" if found.exposed else "as configured",
        },
        "process": {"memory": size(found.memory_bytes), "files open": f"{found.files_open:,}"},
    }
    if rates:
        parts["now"] = {
            "requests": f"{rates.requests:,.1f}/s, {rates.server_errors:,.1f}/s failed",
            "questions": f"{rates.questions:,.1f}/s",
            "claims": f"{rates.claims:,.1f}/s",
        }
        parts["storage"]["sync"] = _ms(rates.sync_ms)
        parts["process"]["processors"] = f"{rates.cpu:.2f}"
        reasons = ", ".join(f"{safe(reason)} {rate:,.1f}/s" for reason, rate in rates.refused.items())
        parts["guards"]["refused"] = reasons or "nothing"
    return parts


def _text(parts: dict[str, Lines]) -> Iterator[str]:
    width = max(len(name) for lines in parts.values() for name in lines)
    for part, lines in parts.items():
        for at, (name, text) in enumerate(lines.items()):
            yield f"{part if at == 0 else '':<8} {name:<{width}}  {safe(text)}"


def _ms(found: float | None) -> str:
    return "-" if found is None else f"{found:.1f} ms"


def size(count: float) -> str:
    """Return bytes as people read them."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < limits.KIB:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= limits.KIB
    return f"{count:.1f} TiB"
