"""Bodies that are refused leave nothing behind: no circle of objects keeps them until a collection."""

from __future__ import annotations

import pytest

from stemedb import limits
from tests.e2e.conftest import ServerFactory
from tests.e2e.service import ServiceProcess

BODIES = 300
KEPT_MIB_MAX = 40.0


def resident_mib(service: ServiceProcess) -> float:
    text = service.get("/metrics").body.decode()
    (found,) = [each for each in text.splitlines() if each.startswith("process_resident_memory_bytes ")]
    return float(found.split()[1]) / limits.MIB


@pytest.mark.parametrize(
    "body",
    [b"x" * (limits.MIB - 10), b'{"subject": "%s"}' % (b"x" * (limits.MIB - 100))],
    ids=["no-json", "no-claim"],
)
@pytest.mark.parametrize("path", ["/v1/assert", "/v1/vote", "/v1/epoch"])
def test_refused_bodies_are_not_kept(server: ServerFactory, path: str, body: bytes) -> None:
    service = server()
    service.request("POST", path, body, {"Content-Type": "application/json"})
    before = resident_mib(service)
    for _ in range(BODIES):
        reply = service.request("POST", path, body, {"Content-Type": "application/json"})
        assert reply.status in (400, 422, 429), reply.body
    assert resident_mib(service) - before < KEPT_MIB_MAX
