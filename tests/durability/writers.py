"""Clients that write until told to stop: `writers.py PORT LEDGER THREADS RUN`.

Each writes signed claims over a kept connection, and notes id and seq in the ledger once the server
acknowledged them. A claim whose fate is unknown (the connection broke) is sent again until it is. At the end
prints what was seen: writes, broken connections, connections refused, the longest wait (seconds).
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from tests.e2e.signing import claim

PATIENCE_S = 60.0


class Writer(threading.Thread):
    """One client."""

    def __init__(self, port: int, ledger: int, name: str, stop: threading.Event) -> None:
        super().__init__(name=name)
        self._port = port
        self._ledger = ledger
        self._stopped = stop
        self._connection: HTTPConnection | None = None
        self.writes = self.broken = self.refused = self.unavailable = 0
        self.longest_s = 0.0

    def run(self) -> None:
        """Write one claim after the other."""
        number = 0
        while not self._stopped.is_set():
            number += 1
            body = json.dumps(claim(subject=f"code://{self.name}", predicate=f"p{number}")).encode()
            begin = time.monotonic()
            while (reply := self._try(body)) is None:
                if time.monotonic() - begin > PATIENCE_S:
                    os._exit(1)
                time.sleep(0.005)
            self.longest_s = max(self.longest_s, time.monotonic() - begin)
            self.writes += 1
            os.write(self._ledger, f"{reply['hash']} {reply['seq']}\n".encode())

    def _try(self, body: bytes) -> dict[str, str] | None:
        """Send it once; None if its fate is unknown."""
        try:
            if self._connection is None:
                self._connection = HTTPConnection("127.0.0.1", self._port, timeout=30)
            self._connection.request("POST", "/v1/assert", body, {"Content-Type": "application/json"})
            response = self._connection.getresponse()
            data = response.read()
            if response.will_close:
                self._connection = None
        except ConnectionRefusedError:
            self.refused += 1
            self._connection = None
            return None
        except (OSError, HTTPException):
            self.broken += 1
            self._connection = None
            return None
        if response.status == 503:
            self.unavailable += 1
            return None
        assert response.status in (200, 201), data
        found: dict[str, str] = json.loads(data)
        return found


def main() -> None:
    """Write until a line comes in."""
    port, ledger, threads, run = sys.argv[1:]
    handle = os.open(Path(ledger), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    stop = threading.Event()
    writers = [Writer(int(port), handle, f"{run}-{at}", stop) for at in range(int(threads))]
    for writer in writers:
        writer.start()
    sys.stdin.readline()
    stop.set()
    for writer in writers:
        writer.join()
    seen = {
        name: sum(getattr(each, name) for each in writers)
        for name in ("writes", "broken", "refused", "unavailable")
    }
    sys.stdout.write(json.dumps(seen | {"longest_s": max(each.longest_s for each in writers)}))


if __name__ == "__main__":
    main()
