"""nginx as clients meet it: handshakes, redirects, what is closed outside, limits and streams."""

from __future__ import annotations

import json
import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.host.containers import OUTSIDE_ADDRESSES, OUTSIDE_SCRIPT
from tests.host.playbook import Run, play

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.live.conftest import Machine

ADDRESS = OUTSIDE_ADDRESSES[4]
# Status, headers and body as JSON; the body up to 2,000 characters.
ASK = """
import http.client, json, ssl, sys
scheme, method, path, size = sys.argv[1:5]
if scheme == "https":
    anyone = ssl._create_unverified_context()
    connection = http.client.HTTPSConnection("203.0.113.1", context=anyone, timeout=40)
else:
    connection = http.client.HTTPConnection("203.0.113.1", timeout=40)
body = b"x" * int(size) if int(size) else None
connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
reply = connection.getresponse()
headers = {name.lower(): value for name, value in reply.getheaders()}
print(json.dumps([reply.status, headers, reply.read().decode()[:2000]]))
"""


class Client:
    """Somebody at 203.0.113.9."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def run(self, command: str) -> str:
        return self.machine.run(f"ip netns exec outside sh -c {shlex.quote(command)} 2>&1")

    def ask(
        self, path: str, *, scheme: str = "https", method: str = "GET", size: int = 0
    ) -> tuple[int, dict[str, str], str]:
        words = shlex.join(["python3", "-c", ASK, scheme, method, path, str(size)])
        status, headers, body = json.loads(self.run(words))
        return status, headers, body

    def handshake(self, options: str) -> str:
        """What openssl says of a handshake; empty of a cipher where there was none."""
        return self.run(
            f"openssl s_client -connect {ADDRESS}:443 {options} </dev/null 2>&1 | tr -cd '\\12\\40-\\176'"
        )


@pytest.fixture
def client(machine: Machine) -> Client:
    machine.run(f"ip netns list | grep -q outside || {{ {OUTSIDE_SCRIPT} }}")
    return Client(machine)


@pytest.mark.parametrize(
    ("options", "cipher"),
    [
        ("-tls1_3", "TLS_AES_256_GCM_SHA384"),
        ("-tls1_2", "ECDHE-ECDSA-AES256-GCM-SHA384"),
        ("-tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-CHACHA20-POLY1305"),
    ],
)
def test_speaks_what_mozilla_calls_intermediate(client: Client, options: str, cipher: str) -> None:
    assert f"Cipher is {cipher}" in client.handshake(options)


@pytest.mark.parametrize(
    "options",
    [
        "-tls1_1 -cipher ALL:@SECLEVEL=0",
        "-tls1 -cipher ALL:@SECLEVEL=0",
        "-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA256",
        "-tls1_2 -cipher ECDHE-ECDSA-AES256-SHA:@SECLEVEL=0",
        "-tls1_2 -cipher aNULL:eNULL:@SECLEVEL=0",
    ],
)
def test_refuses_what_is_older(client: Client, options: str) -> None:
    assert "Cipher is (NONE)" in client.handshake(options)


def test_speaks_http_2(client: Client) -> None:
    assert "ALPN protocol: h2" in client.handshake("-alpn h2")


def test_shows_a_certificate_of_its_name(machine: Machine, client: Client) -> None:
    name = machine.run("uname -n").strip()
    shown = client.handshake(f"-servername {name} -verify_hostname {name} -CAfile /etc/stemedb/tls/cert.pem")
    assert "Verify return code: 0 (ok)" in shown
    assert "Verify return code: 0 (ok)" not in client.handshake("-verify_return_error")
    assert machine.run("stat -c '%a %U' /etc/stemedb/tls/key.pem /etc/stemedb/tls/cert.pem") == (
        "600 root\n644 root\n"
    )


def test_binds_nobody_to_a_certificate_that_nobody_signed(client: Client) -> None:
    assert "strict-transport-security" not in client.ask("/v1/health")[1]


def test_redirects_to_tls(client: Client) -> None:
    status, headers, _ = client.ask("/v1/query?subject=a%2Fb&limit=1", scheme="http", method="POST")
    assert (status, headers["location"]) == (308, f"https://{ADDRESS}/v1/query?subject=a%2Fb&limit=1")


def test_tells_the_outside_status_and_version(machine: Machine, client: Client) -> None:
    status, headers, body = client.ask("/v1/health")
    assert status == 200
    assert json.loads(body) == {"status": "healthy", "version": "0.1.0"}
    assert headers["x-request-id"]
    assert "assertions_count" in machine.get("/v1/health")  # inside, and directly


@pytest.mark.parametrize(
    "path",
    ["/metrics", "/readyz", "/v1/admin/keys", "/v1/admin/storage/stats", "/v1//admin/keys", "/v1/admin"],
)
def test_is_closed_outside(client: Client, path: str) -> None:
    status, headers, body = client.ask(path)
    assert (status, headers["content-type"]) == (403, "application/problem+json")
    assert json.loads(body)["code"] == "forwarded"


def test_is_open_to_the_inside_over_tls(machine: Machine) -> None:
    address = machine.host.ansible.get_variables()["ansible_host"]
    code = (
        "import ssl, urllib.request as u;"
        f"print(u.urlopen('https://{address}/metrics', context=ssl._create_unverified_context()).status)"
    )
    assert machine.run(f'python3 -c "{code}"') == "200\n"


@pytest.mark.parametrize(
    ("path", "size", "status"),
    [
        ("/v1/assert", 1024 * 1024, 400),  # as much as the service reads; it is no claim
        ("/v1/assert", 1024 * 1024 + 1, 413),
        ("/v1/source", 7 * 1024 * 1024, 400),
        ("/v1/source", 7 * 1024 * 1024 + 1, 413),
    ],
)
def test_has_the_limits_of_the_service(client: Client, path: str, size: int, status: int) -> None:
    found, headers, body = client.ask(path, method="POST", size=size)
    assert (found, headers["content-type"]) == (status, "application/problem+json")
    assert json.loads(body)["status"] == status


def test_leaves_long_urls_to_the_service(client: Client) -> None:
    status, headers, _ = client.ask("/v1/query?subject=" + "a" * 8000)
    assert (status, headers["content-type"]) == (400, "application/problem+json")  # no subject is that long
    status, headers, _ = client.ask("/v1/query?subject=" + "a" * 8200)
    assert (status, headers["content-type"]) == (414, "application/problem+json")


def test_waits_for_news(machine: Machine, client: Client) -> None:
    status, _, body = client.ask(f"/v1/feed?after={machine.get('/v1/health')['seq']}&wait=3")
    assert (status, json.loads(body)["records"]) == (200, [])


def test_exports_when_the_certificate_ends(machine: Machine) -> None:
    ends = machine.run(
        'date -d "$(openssl x509 -noout -enddate -in /etc/stemedb/tls/cert.pem | cut -d= -f2)" +%s'
    )
    exported = machine.run("cat /var/lib/stemedb-metrics/stemedb_tls.prom")
    assert f"\nstemedb_tls_cert_expiry_seconds {ends}" in exported
    assert machine.run("stat -c %a /var/lib/stemedb-metrics/stemedb_tls.prom") == "644\n"
    assert machine.shown("stemedb-tls-expiry.timer", "ActiveState") == {"ActiveState": "active"}


def test_is_accepted_by_nginx_and_systemd(machine: Machine) -> None:
    machine.run("nginx -t")
    assert (
        machine.run("systemd-analyze verify stemedb-tls-expiry.timer stemedb-tls-expiry.service 2>&1") == ""
    )
    assert machine.run("ls /etc/nginx/sites-enabled") == "stemedb\n"


def test_gets_another_certificate_by_its_playbook(machine: Machine, client: Client) -> None:
    serial = f"openssl s_client -connect {ADDRESS}:443 </dev/null 2>/dev/null | openssl x509 -noout -serial"
    before = client.run(serial)
    run = play("-i", machine.inventory, "playbooks/rotate_tls.yml")
    assert run.status == 0, run.output
    assert client.run(serial) != before


# A pair of an authority of its own, and one whose key is another's.
PAIRS = """
set -e
cd "$1"
request="openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
$request -x509 -days 30 -subj /CN=Authority -keyout ca.key -out ca.pem
$request -subj /CN=claims.example -keyout key.pem -out request.pem
printf 'subjectAltName=DNS:claims.example\\n' > names
openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names -out cert.pem
cat ca.pem >> cert.pem
$request -subj /CN=other -keyout other.pem -out /dev/null
"""
NAMED = {"stemedb_nginx_server_name": "claims.example"}


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    script = ["bash", "-c", PAIRS, "pairs", str(tmp_path)]
    subprocess.run(script, check=True, capture_output=True)
    return tmp_path


def served(machine: Machine, **variables: object) -> Run:
    return play("-i", machine.inventory, "tests/host/tls.yml", variables=variables)


def test_serves_a_given_pair_and_binds_browsers_to_it(machine: Machine, client: Client, pairs: Path) -> None:
    given: dict[str, object] = {
        **NAMED,
        "stemedb_nginx_tls_mode": "provided",
        "stemedb_nginx_tls_cert_src": str(pairs / "cert.pem"),
        "stemedb_nginx_tls_key_src": str(pairs / "key.pem"),
    }
    run = served(machine, **given)
    assert run.status == 0, run.output
    machine.run(f"cat > /run/ca.pem <<'END'\n{(pairs / 'ca.pem').read_text()}END")
    shown = client.handshake("-servername claims.example -verify_hostname claims.example -CAfile /run/ca.pem")
    assert "Verify return code: 0 (ok)" in shown
    assert " 1 s:CN = Authority" in shown  # the chain
    assert client.ask("/v1/health")[1]["strict-transport-security"] == "max-age=63072000"
    assert served(machine, **given).changed == 0

    refused = served(machine, **{**given, "stemedb_nginx_tls_key_src": str(pairs / "other.pem")})
    assert refused.status != 0
    assert "no certificate with its key" in refused.output
    assert refused.changed == 0
    assert "PRIVATE KEY" not in refused.output


def test_is_ready_for_an_acme_client(machine: Machine, client: Client, pairs: Path) -> None:
    assert play("-i", machine.inventory, "playbooks/rotate_tls.yml").status == 0
    run = served(machine, **NAMED, stemedb_nginx_tls_mode="acme")
    assert run.status == 0, run.output
    folder = "/var/lib/stemedb-acme/.well-known/acme-challenge"
    machine.run(f"mkdir -p {folder} && echo answer > {folder}/token")
    assert client.ask("/.well-known/acme-challenge/token", scheme="http")[2] == "answer\n"
    for name, file in (("fullchain", "cert"), ("privkey", "key"), ("other", "other")):
        machine.run(f"cat > /run/{name}.pem <<'END'\n{(pairs / f'{file}.pem').read_text()}END")
    before = machine.run("cat /etc/stemedb/tls/cert.pem")
    machine.run("! stemedb-tls-deploy /run/fullchain.pem /run/other.pem")
    assert machine.run("cat /etc/stemedb/tls/cert.pem") == before
    machine.run("RENEWED_LINEAGE=/run stemedb-tls-deploy")
    assert machine.run("cat /etc/stemedb/tls/cert.pem") == (pairs / "cert.pem").read_text()
    assert machine.run("stat -c %a /etc/stemedb/tls/key.pem") == "600\n"
    assert "strict-transport-security" not in client.ask("/v1/health")[1]  # until the next run has seen it
    assert served(machine, **NAMED, stemedb_nginx_tls_mode="acme").status == 0
    assert "strict-transport-security" in client.ask("/v1/health")[1]


def test_loads_nothing_that_nginx_refuses(machine: Machine, client: Client) -> None:
    machine.run("echo nonsense > /etc/nginx/conf.d/broken.conf")
    run = served(machine, stemedb_nginx_server_name="other.example")
    machine.run("rm /etc/nginx/conf.d/broken.conf")
    assert run.status != 0
    assert "broken.conf" in run.output
    assert client.ask("/v1/health")[0] == 200


def test_comes_back_to_its_own_certificate(machine: Machine, client: Client) -> None:
    assert play("-i", machine.inventory, "playbooks/rotate_tls.yml").status == 0
    assert served(machine).status == 0
    assert "strict-transport-security" not in client.ask("/v1/health")[1]
    assert served(machine).changed == 0
