"""`stemedb status`: is the server well, in one screen."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click
import msgspec

from stemedb.cli.output import print_json, short
from stemedb.cli.session import connected

if TYPE_CHECKING:
    from stemedb.cli.session import Session

SERVING = ("healthy", "degraded")


@click.command(epilog="\b\nExample:\n  stemedb status --url http://127.0.0.1:18180")
@connected
def status(*, session: Session, as_json: bool) -> int:
    """Show the server's health.

    Exit status: 0 if it serves (healthy or degraded), 1 if it starts or drains, 75 if it does not answer.
    """
    with session.client() as client:
        started_s = time.perf_counter()
        health = client.health()
        took_ms = (time.perf_counter() - started_s) * 1000
    if as_json:
        print_json({"url": session.profile.url, **msgspec.to_builtins(health)})
    else:
        lines = {
            "server": session.profile.url,
            "status": health.status,
            "version": health.version,
            "claims": f"{health.assertions_count:,}",
            "log position": f"{health.seq:,}",
            "up for": _duration(health.uptime_seconds),
            "answered in": f"{took_ms:.1f} ms",
            **{f"check {name}": result for name, result in sorted(health.checks.items())},
        }
        width = max(map(len, lines))
        for name, text in lines.items():
            click.echo(f"{short(name):<{width}}  {short(text)}")
    return 0 if health.status in SERVING else 1


def _duration(seconds: float) -> str:
    minutes, rest_s = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return (f"{days} d " if days else "") + f"{hours:02}:{minutes:02}:{rest_s:02}"
