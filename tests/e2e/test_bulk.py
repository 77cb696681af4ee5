"""Bulk: many claims in one request, each line with its own fate, in bounded memory, resumable."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from stemedb import limits
from tests.e2e.conftest import ServerFactory
from tests.e2e.service import Reply, ServiceProcess
from tests.e2e.signing import OTHER, claim, line

HEAD = b"POST /v1/assert/bulk HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"


def results_of(reply: Reply) -> list[dict[str, Any]]:
    assert reply.status == 200, reply.body
    return [json.loads(each) for each in reply.body.splitlines()]


def read_all(sock: socket.socket) -> bytes:
    parts = []
    while part := sock.recv(65536):
        parts.append(part)
    return b"".join(parts)


def send_raw(service: ServiceProcess, data: bytes, *, half_close: bool = False) -> bytes:
    with closing(socket.create_connection(("127.0.0.1", service.port), timeout=40)) as sock:
        sock.sendall(data)
        if half_close:
            sock.shutdown(socket.SHUT_WR)
        return read_all(sock)


def count(service: ServiceProcess) -> int:
    found: int = service.get("/v1/health").json()["assertions_count"]
    return found


def test_a_broken_line_reports_and_the_others_land(server: ServerFactory) -> None:
    service = server()
    forged = claim(subject="fda://drug/forged")
    forged["signatures"][0]["agent_id"] = OTHER.agent_id.hex()
    found = results_of(service.bulk([line(1), line(2), b'{"subject":', line(4), json.dumps(forged).encode()]))
    assert [each["line"] for each in found] == [1, 2, 3, 4, 5]
    assert found[2]["problem"]["code"] == "malformed_json"
    assert found[4]["problem"]["status"] == 422
    assert "hash" not in found[2]
    assert [found[index]["status"] for index in (0, 1, 3)] == ["created"] * 3
    assert count(service) == 3


def test_forged_lines_among_many_are_named_and_no_other(server: ServerFactory) -> None:
    service = server()
    wrong = {3, 511, 512, 800, 1199}  # both sides of a chunk's end
    lines = [line(number) for number in range(1200)]
    for number in wrong:
        forged = claim(subject=f"fda://drug/forged/{number}")
        forged["signatures"] *= 2
        forged["signatures"][1] = forged["signatures"][1] | {"agent_id": OTHER.agent_id.hex()}
        lines[number] = json.dumps(forged).encode()
    found = results_of(service.bulk(lines))
    refused = {each["line"] - 1: each["problem"] for each in found if "problem" in each}
    assert set(refused) == wrong
    assert {each["code"] for each in refused.values()} == {"bad_signature"}
    assert {each["errors"][0]["pointer"] for each in refused.values()} == {"/signatures/1"}
    assert count(service) == 1200 - len(wrong)


def verifiers_of(service: ServiceProcess) -> list[int]:
    children = Path(f"/proc/{service.pid}/task").glob("*/children")
    return [int(pid) for each in children for pid in each.read_text().split()]


def test_verifiers_that_are_killed_cost_no_line(server: ServerFactory) -> None:
    service = server()
    service.bulk([line(number) for number in range(200)])
    killed = verifiers_of(service)
    assert len(killed) == limits.VERIFIERS

    def kill() -> None:
        time.sleep(0.2)
        for pid in killed:
            os.kill(pid, signal.SIGKILL)

    killing = threading.Thread(target=kill)
    killing.start()
    found = results_of(service.bulk([line(number) for number in range(6000)]))
    killing.join()
    assert [each["status"] for each in found] == ["exists"] * 200 + ["created"] * 5800
    results_of(service.bulk([line(number) for number in range(200)]))
    assert service.log.count('"verifier lost"') == limits.VERIFIERS
    assert service.get("/v1/health").status == 200


def test_threads_share_a_processor_and_verifiers_have_all(server: ServerFactory) -> None:
    service = server()
    service.bulk([line(number) for number in range(200)])
    threads = [int(each.name) for each in Path(f"/proc/{service.pid}/task").iterdir()]
    assert len({min(os.sched_getaffinity(thread)) for thread in threads}) == 1
    assert {len(os.sched_getaffinity(thread)) for thread in threads} == {1}
    assert all(os.sched_getaffinity(pid) == os.sched_getaffinity(0) for pid in verifiers_of(service))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_verifier_outlives_its_service(server: ServerFactory, number: signal.Signals) -> None:
    service = server()
    service.bulk([line(number) for number in range(200)])
    pids = verifiers_of(service)
    assert len(pids) == limits.VERIFIERS
    service.stop(number)
    deadline = time.monotonic() + 10
    while (left := [pid for pid in pids if Path(f"/proc/{pid}").exists()]) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not left
    assert "verifier lost" not in service.log


def test_sent_again_everything_exists(server: ServerFactory) -> None:
    service = server()
    lines = [line(number) for number in range(1500)]  # several chunks
    first = results_of(service.bulk(lines))
    assert [each["seq"] for each in first] == list(range(first[0]["seq"], first[0]["seq"] + 1500))
    again = results_of(service.bulk(lines))
    assert {each["status"] for each in again} == {"exists"}
    assert [each["hash"] for each in again] == [each["hash"] for each in first]
    assert count(service) == 1500


def test_a_stream_cut_in_the_middle_keeps_its_whole_lines(server: ServerFactory) -> None:
    service = server()
    whole = b"".join(line(number) + b"\n" for number in range(10))
    cut = HEAD + b"Content-Length: %d\r\n\r\n" % (2 * len(whole)) + whole + line(11)[:-30]
    reply = send_raw(service, cut, half_close=True)
    assert b'"code":"truncated_body"' in reply
    assert count(service) == 10


def test_a_last_line_needs_no_newline(server: ServerFactory) -> None:
    service = server()
    body = line(1) + b"\r\n" + line(2)
    reply = send_raw(service, HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert reply.startswith(b"HTTP/1.1 200 OK")
    assert count(service) == 2


def test_chunked_bodies_are_read(server: ServerFactory) -> None:
    service = server()
    body = line(1) + b"\n" + line(2) + b"\n"
    pieces = [body[:100], body[100:101], body[101:]]
    chunked = b"".join(b"%X;note=1\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    reply = send_raw(service, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked)
    assert reply.startswith(b"HTTP/1.1 200 OK")
    assert count(service) == 2
    for broken in (b"zz\r\n", b"5\r\nabcdefgh\r\n", b"-1\r\n\r\n"):
        assert b" 400 " in send_raw(service, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + broken)[:20]


def test_overlong_lines_are_skipped_not_kept(server: ServerFactory) -> None:
    service = server()
    found = results_of(
        service.bulk([b"x" * (3 * limits.BULK_LINE_BYTES_MAX), line(2), b"y" * 2_000_000, line(4)])
    )
    assert [each.get("status") for each in found] == [None, "created", None, "created"]
    assert [each["problem"]["status"] for each in (found[0], found[2])] == [413, 413]


def test_more_lines_than_allowed_are_413_and_those_before_stand(server: ServerFactory) -> None:
    service = server()
    filler = b"\n" * (limits.BULK_LINES_MAX - 1)
    reply = service.request(
        "POST",
        "/v1/assert/bulk",
        line(1) + b"\n" + filler + line(2) + b"\n",
        {"Content-Type": "application/x-ndjson"},
    )
    assert (reply.status, reply.json()["code"]) == (413, "too_large")
    assert count(service) == 1


def test_other_media_types_and_no_length_are_refused(server: ServerFactory) -> None:
    service = server()
    assert service.post("/v1/assert/bulk", line(1)).status == 415
    assert send_raw(service, HEAD + b"\r\n").startswith(b"HTTP/1.1 411 ")


def test_a_client_that_writes_all_before_it_reads_is_answered(server: ServerFactory) -> None:
    service = server()
    body = b"".join(b"{%d\n" % number for number in range(50_000))  # each reply is longer than its line
    with closing(socket.create_connection(("127.0.0.1", service.port), timeout=40)) as sock:
        sock.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        reply = read_all(sock)
    assert reply.startswith(b"HTTP/1.1 200 OK")
    assert reply.count(b'"problem"') == 50_000


def test_the_fifth_at_a_time_is_503(server: ServerFactory) -> None:
    service = server()
    running = []
    for number in range(limits.BULK_REQUESTS_MAX):
        sock = socket.create_connection(("127.0.0.1", service.port), timeout=40)
        sock.sendall(HEAD + b"Content-Length: 100000\r\n\r\n" + line(number) + b"\n")
        running.append(sock)
    while True:  # the four are taken up one after the other
        refused = service.bulk([line(9)])
        if refused.status == 503:
            break
        time.sleep(0.01)
    assert refused.json()["code"] == "bulk_busy"
    assert int(refused.headers["Retry-After"]) >= 1
    assert service.get("/v1/health").status == 200
    for sock in running:
        sock.close()
    while service.bulk([line(9)]).status != 200:
        time.sleep(0.01)


def test_memory_stays_bounded(server: ServerFactory) -> None:
    service = server()
    service.bulk([line(0)])

    def resident_mib() -> float:
        text = (service.get("/metrics").body).decode()
        (found,) = [each for each in text.splitlines() if each.startswith("process_resident_memory_bytes ")]
        return float(found.split()[1]) / limits.MIB

    before = resident_mib()
    highest = before
    done = threading.Event()

    def watch() -> None:
        nonlocal highest
        while not done.wait(0.05):
            highest = max(highest, resident_mib())

    watcher = threading.Thread(target=watch)
    watcher.start()
    # Nearly the whole 128 MiB, in lines that are long and wrong: nothing of them is worth keeping.
    body = (b"x" * (limits.MIB - 1) + b"\n") * 120
    reply = service.request("POST", "/v1/assert/bulk", body, {"Content-Type": "application/x-ndjson"})
    done.set()
    watcher.join()
    assert reply.status == 200
    assert highest - before < 80, (before, highest)
