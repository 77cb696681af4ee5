"""A host that is watched, with a bit of traffic, and its Prometheus."""

from __future__ import annotations

import itertools
import json
import threading
import time
import urllib.request
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.signing import SIGNER, claim
from tests.host.live.conftest import Machine, machine  # noqa: F401  (a fixture of this folder, too)
from tests.host.prometheus import Prometheus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testinfra.host import Host  # type: ignore[import-untyped]

    from stemedb.model import Signer

EVERY_S = 0.1


class Traffic:
    """Clients that go on, whatever they are answered."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ends = threading.Event()
        self._threads: list[threading.Thread] = []

    def post(self, path: str, body: bytes, kind: str = "application/json") -> None:
        """Send something, and take whatever comes back."""
        request = urllib.request.Request(f"{self._url}{path}", body, {"Content-Type": kind})  # noqa: S310
        with suppress(OSError), urllib.request.urlopen(request, timeout=10) as reply:  # noqa: S310
            reply.read()

    def keep_sending(self, path: str, signer: Signer, **fields: Any) -> None:  # noqa: ANN401  (of a claim)
        """Go on sending claims of one agent, each about another subject."""

        def send() -> None:
            for number in itertools.count():
                if self._ends.wait(EVERY_S):
                    return
                subject = f"traffic/{signer.agent_id.hex()[:8]}/{time.time_ns()}/{number}"
                self.post(path, json.dumps(claim(signer, subject=subject, **fields)).encode())

        self._threads.append(threading.Thread(target=send))
        self._threads[-1].start()

    def end(self) -> None:
        """Stop all of it."""
        self._ends.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def prometheus(machine: Machine) -> Prometheus:  # noqa: F811  (the fixture)
    """The host's Prometheus."""
    return Prometheus(machine.run)


@pytest.fixture(scope="module")
def traffic(host: Host) -> Iterator[Traffic]:
    """A client that asserts a claim every now and then, for as long as the tests run."""
    found = Traffic(f"http://{host.ansible.get_variables()['ansible_host']}:18180")
    found.keep_sending("/v1/assert", SIGNER)
    yield found
    found.end()
