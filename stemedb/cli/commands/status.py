"""`stemedb status`: is the server well, and how much of everything is left, in one screen."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click
import msgspec

from stemedb.cli.commands.top import size
from stemedb.cli.figures import Figures, figures_of, look
from stemedb.cli.output import print_json, short
from stemedb.cli.session import connected
from stemedb.errors import Forbidden, Unauthorized, Unavailable

if TYPE_CHECKING:
    from stemedb.cli.session import Session
    from stemedb.client import Client
    from stemedb.model.replies import HealthReply

SERVING = ("healthy", "degraded")


@click.command(epilog="\b\nExample:\n  stemedb status --url http://127.0.0.1:18180")
@connected
def status(*, session: Session, as_json: bool) -> int:
    """Show the server's health, and its figures where the key may see them.

    Exit status: 0 if it serves (healthy or degraded), 1 if it starts or drains, 75 if it does not answer.
    """
    with session.client() as client:
        started_s = time.perf_counter()
        health = client.health()
        took_ms = (time.perf_counter() - started_s) * 1000
        figures = _figures(client)
    if as_json:
        shown = msgspec.to_builtins(health)
        print_json({"url": session.profile.url, **shown, "figures": msgspec.to_builtins(figures)})
    else:
        lines = {
            "server": session.profile.url,
            "status": health.status,
            "version": health.version,
            **_told(health),
            "answered in": f"{took_ms:.1f} ms",
            **_lines(figures),
            **{f"check {name}": result for name, result in sorted(health.checks.items())},
        }
        width = max(map(len, lines))
        for name, text in lines.items():
            click.echo(f"{short(name):<{width}}  {short(text)}")
    return 0 if health.status in SERVING else 1


def _told(health: HealthReply) -> dict[str, str]:
    if not health.checks:
        return {}  # a proxy stands between, and we are outside
    return {
        "claims": f"{health.assertions_count:,}",
        "log position": f"{health.seq:,}",
        "up for": _duration(health.uptime_seconds),
    }


def _figures(client: Client) -> Figures | None:
    """Return the server's figures; None where this key may not see them, or the server is not there yet."""
    try:
        return figures_of(look(client))
    except (Unauthorized, Forbidden, Unavailable):
        return None


def _lines(found: Figures | None) -> dict[str, str]:
    if found is None:
        return {"figures": "not shown: they need a key of role reader, asked directly"}
    p99_ms = found.latency.p99_ms
    behind = found.log_seq - found.view_seq
    return {
        "questions' p99": "no questions lately" if p99_ms is None else f"{p99_ms:.1f} ms",
        "view": f"{behind:,} records behind the log, {found.map_use:.1%} of its map used",
        "log": f"{size(found.log_bytes)} in {found.segments:,} segments",
        "disk free": ", ".join(
            f"{name} {size(free)}" for name, free in sorted(found.disk_free_bytes.items())
        ),
        "waiting": f"{found.queued_changes:,} changes, {found.requests_waiting:,} requests",
        "connections": f"{found.connections:,} of {found.connections_max:,}",
        "memory": size(found.memory_bytes),
        "breakers open": f"{found.breakers_open:,}",
        "quarantined": f"{found.quarantine_pending:,}",
    }


def _duration(seconds: float) -> str:
    minutes, rest_s = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return (f"{days} d " if days else "") + f"{hours:02}:{minutes:02}:{rest_s:02}"
