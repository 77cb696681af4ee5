"""A bar for the work that a server asks of a new agent."""

from __future__ import annotations

import sys

_CELLS = 30


def show_work(tried: int, expected: int) -> None:
    """Show how far the work is, on a terminal only; `expected` nonces are what it takes on average."""
    if not sys.stderr.isatty():
        return
    if tried == expected:
        sys.stderr.write("\r\x1b[K")
    else:
        done = min(_CELLS - 1, _CELLS * tried // (2 * expected))
        bar = "#" * done + "." * (_CELLS - done)
        sys.stderr.write(f"\rproof of work [{bar}] {tried} tried, about {expected} needed")
    sys.stderr.flush()
