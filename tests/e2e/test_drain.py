"""The service is stopped and started under load, and its clients notice nothing but a delay."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from http.client import HTTPConnection
from itertools import count

import pytest

from stemedb.model import Signer
from tests.e2e.conftest import ServerFactory
from tests.e2e.service import ServiceProcess
from tests.e2e.signing import claim, line

RESTARTS = 20
CLIENTS = 6


class KeepAliveClient(threading.Thread):
    """Writes claims over one connection as long as the server keeps it; never tries anything twice."""

    def __init__(self, service: ServiceProcess, number: int) -> None:
        super().__init__(daemon=True)
        self._port = service.port
        self._signer = Signer(bytes([number + 1]) * 32)
        self._number = number
        self.stopping = threading.Event()
        self.acknowledged: list[str] = []
        self.errors: list[str] = []
        self.longest_s = 0.0

    def run(self) -> None:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=20)
        for index in count():
            if self.stopping.is_set():
                break
            body = json.dumps(claim(self._signer, subject=f"code://{self._number}/{index}"))
            began = time.monotonic()
            try:
                connection.request("POST", "/v1/assert", body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                content = json.loads(response.read())
                if response.status == 201:
                    self.acknowledged.append(content["hash"])
                else:
                    self.errors.append(f"{response.status} {content}")
            except Exception as error:  # noqa: BLE001 - whatever the client saw is what the test is about
                self.errors.append(repr(error))
                connection.close()
            self.longest_s = max(self.longest_s, time.monotonic() - began)
        connection.close()


def test_restarts_are_unnoticed_by_keep_alive_writers(server: ServerFactory) -> None:
    service = server(held_socket=True)
    clients = [KeepAliveClient(service, number) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    slowest_stop_s = 0.0
    for _ in range(RESTARTS):
        began = time.monotonic()
        assert service.stop() == 0, service.log
        slowest_stop_s = max(slowest_stop_s, time.monotonic() - began)
        before = [len(client.acknowledged) for client in clients]
        service.start()
        deadline = time.monotonic() + 20
        while any(len(client.acknowledged) < had + 5 for client, had in zip(clients, before, strict=True)):
            assert time.monotonic() < deadline, [client.errors for client in clients]
            time.sleep(0.01)
    for client in clients:
        client.stopping.set()
    for client in clients:
        client.join(20)
    acknowledged = [each for client in clients for each in client.acknowledged]
    longest_s = max(client.longest_s for client in clients)
    figures = f"{len(acknowledged)} writes over {RESTARTS} restarts; longest request {longest_s:.2f} s, "
    print(figures + f"slowest stop {slowest_stop_s:.2f} s")
    assert [error for client in clients for error in client.errors] == []
    assert all(client.acknowledged for client in clients)
    assert service.get("/v1/health").json()["assertions_count"] == len(set(acknowledged)) == len(acknowledged)
    assert slowest_stop_s < 10


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_ends_with_status_0(server: ServerFactory, number: signal.Signals) -> None:
    service = server()
    assert service.stop(number) == 0
    assert "Traceback" not in service.log


def test_a_request_that_never_ends_cannot_hold_the_process(server: ServerFactory) -> None:
    service = server()
    with socket.create_connection(("127.0.0.1", service.port)) as sock:
        sock.sendall(b"POST /v1/assert HTTP/1.1\r\nContent-Le")
        service.get("/livez")
        began = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - began < 10


def test_drain_says_close_and_finishes_a_running_bulk(server: ServerFactory) -> None:
    service = server(held_socket=True)
    lines = [line(number) + b"\n" for number in range(200)]
    connection = HTTPConnection("127.0.0.1", service.port, timeout=20)
    connection.putrequest("POST", "/v1/assert/bulk")
    connection.putheader("Content-Type", "application/x-ndjson")
    connection.putheader("Content-Length", str(sum(map(len, lines))))
    connection.endheaders()
    connection.send(b"".join(lines[:100]))
    idle = HTTPConnection("127.0.0.1", service.port, timeout=20)
    idle.request("GET", "/livez")
    idle.getresponse().read()
    assert service.process is not None
    service.process.send_signal(signal.SIGTERM)
    idle.request("GET", "/v1/health")
    answer = idle.getresponse()
    health = json.loads(answer.read())
    if health["status"] != "healthy":  # the signal may come after the answer
        assert (answer.status, health["status"]) == (503, "draining")
        assert answer.headers["Connection"] == "close"
    connection.send(b"".join(lines[100:]))
    reply = connection.getresponse()
    results = [json.loads(each) for each in reply.read().splitlines()]
    assert reply.status == 200
    assert [each["status"] for each in results] == ["created"] * 200
    idle.close()
    connection.close()
    assert service.wait() == 0
