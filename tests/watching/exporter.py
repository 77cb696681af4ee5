"""A real node_exporter, and what a text of metrics exposes."""

from __future__ import annotations

import re
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.error import URLError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_TIMEOUT_S = 30.0
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? \S+$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="')


@contextmanager
def node_exporter(port: int, textfiles: Path) -> Iterator[str]:
    """Run node_exporter on loopback; yields what it exposes."""
    command = [
        "prometheus-node-exporter",
        f"--web.listen-address=127.0.0.1:{port}",
        f"--collector.textfile.directory={textfiles}",
    ]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            yield _first_answer(process, f"http://127.0.0.1:{port}/metrics")
        finally:
            process.terminate()


def _first_answer(process: subprocess.Popen[bytes], url: str) -> str:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        assert process.poll() is None
        try:
            with urllib.request.urlopen(url, timeout=10) as reply:  # noqa: S310  (our own)
                return str(reply.read().decode())
        except URLError:
            time.sleep(0.05)
    raise AssertionError("node_exporter does not answer")


def exposed(text: str) -> dict[str, set[str]]:
    """Return the names of the labels of every metric."""
    found: dict[str, set[str]] = {}
    for name, labels in _SAMPLE.findall(text):
        found.setdefault(name, set()).update(_LABEL.findall(labels))
    return found
