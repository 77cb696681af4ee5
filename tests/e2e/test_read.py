"""Reads: positions, entity tags, parameters, and what is measured and logged of them."""

from __future__ import annotations

import json
import threading
import time

from tests.e2e.conftest import ServerFactory
from tests.e2e.service import ServiceProcess
from tests.e2e.signing import claim


def test_entity_tags_spare_what_has_not_changed(shared_server: ServiceProcess) -> None:
    # A regulator's claims never decay, so the answer does not depend on the second it is asked in.
    shared_server.post("/v1/assert", claim(subject="fda://drug/tagged"))
    path = "/v1/query?subject=fda://drug/tagged"
    first = shared_server.get(path)
    etag = first.headers["ETag"]
    for known in (etag, f'"other", W/{etag}', "*"):
        again = shared_server.get(path, {"If-None-Match": known})
        assert (again.status, again.body) == (304, b"")
        assert again.headers["ETag"] == etag
        assert again.headers["Stemedb-Seq"]
    assert shared_server.get(path, {"If-None-Match": '"other"'}).status == 200
    shared_server.post("/v1/assert", claim(subject="fda://drug/tagged", predicate="second"))
    changed = shared_server.get(path, {"If-None-Match": etag})
    assert changed.status == 200
    assert changed.headers["ETag"] != etag


def test_a_position_of_a_write_is_visible_to_the_read(shared_server: ServiceProcess) -> None:
    written = shared_server.post("/v1/assert", claim(subject="fda://drug/position"))
    position = written.headers["Stemedb-Seq"]
    read = shared_server.get("/v1/query?subject=fda://drug/position", {"Stemedb-Min-Seq": position})
    assert len(read.json()["assertions"]) == 1
    assert int(read.headers["Stemedb-Seq"]) >= int(position)


def test_a_read_waits_for_its_position(server: ServerFactory) -> None:
    service = server()
    position = int(service.post("/v1/assert", claim()).headers["Stemedb-Seq"])
    replies = []

    def read() -> None:
        replies.append(service.get("/v1/query?subject=x", {"Stemedb-Min-Seq": str(position + 1)}))

    reader = threading.Thread(target=read)
    reader.start()
    time.sleep(0.2)  # so that it does wait; without the wait the test would still be right
    service.post("/v1/assert", claim(predicate="next"))
    reader.join()
    assert replies[0].status == 200
    late = service.get("/v1/query?subject=x", {"Stemedb-Min-Seq": str(position + 1000)})
    assert (late.status, late.json()["code"]) == (503, "not_yet_visible")
    assert service.get("/v1/query?subject=x", {"Stemedb-Min-Seq": "soon"}).status == 400


def test_array_parameters_in_both_spellings(shared_server: ServiceProcess) -> None:
    shared_server.post("/v1/assert", claim(subject="many", source_class="Expert"))
    shared_server.post("/v1/assert", claim(subject="many", source_class="Clinical"))
    shared_server.post("/v1/assert", claim(subject="many", source_class="Anecdotal"))
    for spelling in (
        "source_class=Expert&source_class=Clinical",
        "source_class[]=Expert&source_class[]=Clinical",
        "source_class%5B%5D=Expert&source_class=Clinical",
    ):
        found = shared_server.get(f"/v1/query?subject=many&{spelling}").json()["assertions"]
        assert sorted(each["source_class"] for each in found) == ["Clinical", "Expert"]


def test_requests_are_counted_and_logged(server: ServerFactory) -> None:
    service = server()
    service.post("/v1/assert", claim(), {"X-Request-Id": "counted"})
    service.get("/v1/query?subject=a&predicate=b&lens=recency")
    service.get("/v1/nowhere")
    metrics = service.get("/metrics").body.decode()
    for line in (
        'stemedb_http_requests_total{endpoint="/v1/assert",method="POST",status="201"} 1.0',
        'stemedb_http_requests_total{endpoint="none",method="none",status="404"} 1.0',
        'stemedb_requests_rejected_total{reason="not_found"} 1.0',
        'stemedb_queries_total{endpoint="query"} 1.0',
        'stemedb_query_duration_seconds_count{endpoint="query",lens="recency"} 1.0',
        "stemedb_assertions_total 1.0",
        "stemedb_assertions_ingested_total 1.0",
    ):
        assert line in metrics
    service.stop()
    lines = [json.loads(line) for line in service.log.splitlines()]
    (counted,) = [line for line in lines if line.get("request_id") == "counted"]
    assert (counted["event"], counted["endpoint"], counted["status"]) == ("request", "/v1/assert", 201)
    assert {"bytes", "duration_ms", "client", "method", "time", "level"} <= set(counted)
    assert not [line for line in lines if line.get("endpoint") == "/metrics"]
