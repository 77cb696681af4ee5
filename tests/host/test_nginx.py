"""nginx's limits are the service's, and the example for Envoy says the same."""

from __future__ import annotations

import yaml

from stemedb import limits
from tests.host.playbook import ROOT


def test_nginx_has_the_limits_of_the_service() -> None:
    values = yaml.safe_load((ROOT / "roles/stemedb_nginx/vars/main.yml").read_text())
    given = values["__stemedb_nginx_limits"]
    assert given == {name: getattr(limits, name) for name in given}
    assert given.keys() >= {"BODY_BYTES_MAX", "SOURCE_BODY_BYTES_MAX", "FEED_WAIT_S_MAX", "URL_BYTES_MAX"}


def test_envoy_waits_longer_than_the_service_and_closes_what_is_internal() -> None:
    text = (ROOT / "files/envoy/stemedb.yaml").read_text()
    (listener,) = yaml.safe_load(text)["static_resources"]["listeners"]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    (host,) = manager["route_config"]["virtual_hosts"]
    routes = {next(iter(route["match"].values())): route for route in host["routes"]}
    for path in ("/metrics", "/readyz", "/v1/admin"):
        assert routes[path]["direct_response"]["status"] == 403
    assert int(routes["/v1/feed"]["route"]["timeout"].rstrip("s")) > limits.FEED_WAIT_S_MAX
    assert routes["/v1/assert/bulk"]["route"]["timeout"] == "0s"
    (cluster,) = yaml.safe_load(text)["static_resources"]["clusters"]
    assert cluster["health_checks"][0]["http_health_check"]["path"] == "/readyz"
    assert (
        int(
            cluster["typed_extension_protocol_options"][
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
            ]["common_http_protocol_options"]["idle_timeout"].rstrip("s")
        )
        < limits.IDLE_TIMEOUT_S
    )
