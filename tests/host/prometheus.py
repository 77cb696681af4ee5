"""Asking the Prometheus of a host, which only the host itself can reach."""

from __future__ import annotations

import json
import shlex
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable

URL = "http://127.0.0.1:9090"
PATIENCE_S = 90.0
# curl is not on every host, Python is.
_GET = "import sys,urllib.request as r;print(r.urlopen(sys.argv[1],timeout=10).read().decode())"


class Prometheus:
    """One Prometheus, asked through `run`, which runs a command on its host."""

    def __init__(self, run: Callable[[str], str]) -> None:
        self._run = run

    def get(self, path: str) -> Any:  # noqa: ANN401  (any JSON)
        """The data of an answer of its API."""
        text = self._run(f"python3 -c {shlex.quote(_GET)} {shlex.quote(URL + path)}")
        return json.loads(text)["data"]

    def ask(self, expr: str) -> list[tuple[dict[str, str], float]]:
        """The samples of an expression, now."""
        found = self.get(f"/api/v1/query?query={quote(expr)}")
        return [(each["metric"], float(each["value"][1])) for each in found["result"]]

    def await_samples(self, expr: str) -> list[tuple[dict[str, str], float]]:
        """The samples of an expression as soon as it has any."""
        deadline = time.monotonic() + PATIENCE_S
        while not (found := self.ask(expr)):
            assert time.monotonic() < deadline, f"{expr} has no sample"
            time.sleep(0.5)
        return found

    def firing(self) -> set[str]:
        """The alerts that fire now."""
        return {
            alert["labels"]["alertname"]
            for alert in self.get("/api/v1/alerts")["alerts"]
            if alert["state"] == "firing"
        }
