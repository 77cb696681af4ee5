"""A certificate by ACME: Debian's certbot asks Pebble, a small authority, over the site's own port 80."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.host.containers import Container, container
from tests.host.playbook import Run, play
from tools import converged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

NAME = "claims.example"
CHALLENGES = "/var/lib/stemedb-acme/.well-known/acme-challenge"
# The authority has a certificate of its own, and finds the name at this host.
AUTHORITY = f"""
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq --yes --no-install-recommends pebble certbot >/dev/null 2>&1
mkdir -p /run/acme
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost \\
    -addext subjectAltName=DNS:localhost -keyout /run/acme/key.pem -out /run/acme/cert.pem 2>/dev/null
cat > /run/acme/pebble.json <<'END'
{{"pebble": {{"listenAddress": "127.0.0.1:14000", "managementListenAddress": "127.0.0.1:15000",
    "certificate": "/run/acme/cert.pem", "privateKey": "/run/acme/key.pem", "httpPort": 80, "tlsPort": 443}}}}
END
echo '127.0.0.1 {NAME}' >> /etc/hosts
systemd-run --quiet --unit=pebble --setenv=PEBBLE_VA_NOSLEEP=1 --setenv=PEBBLE_WFE_NONCEREJECT=0 \\
    pebble -config /run/acme/pebble.json
until trusted_root=$(python3 -c '
import ssl, urllib.request
trusted = ssl.create_default_context(cafile="/run/acme/cert.pem")
print(urllib.request.urlopen("https://localhost:15000/roots/0", context=trusted).read().decode())
' 2>/dev/null); do sleep 0.2; done
echo "$trusted_root" > /run/acme/root.pem
"""
# As the deploy hook's own first lines name it.
ORDER = f"""
export REQUESTS_CA_BUNDLE=/run/acme/cert.pem
certbot certonly --webroot -w /var/lib/stemedb-acme -d {NAME} \\
    --deploy-hook /usr/local/sbin/stemedb-tls-deploy --server https://localhost:14000/dir \\
    --non-interactive --agree-tos --register-unsafely-without-email 2>&1
"""
RENEW = """
export REQUESTS_CA_BUNDLE=/run/acme/cert.pem
certbot renew --force-renewal --no-random-sleep-on-renew 2>&1
"""
# Old workers end a moment after a reload.
SERVED = f"""
for _ in $(seq 50); do
    found=$(openssl s_client -connect 127.0.0.1:443 -servername {NAME} -verify_hostname {NAME} \\
        -CAfile /run/acme/root.pem </dev/null 2>&1)
    serial=$(echo "$found" | openssl x509 -noout -serial)
    [ "$serial" != "$(openssl x509 -noout -serial -in /etc/stemedb/tls/cert.pem)" ] || break
    sleep 0.2
done
echo "$serial"
echo "$found" | grep 'Verify return code' | sort -u
"""
ASK = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=10)
connection.request("GET", sys.argv[1], headers={"Host": "claims.example"})
reply = connection.getresponse()
print(reply.status, reply.headers["location"] or "-", reply.read().decode().strip()[:20])
"""
UNITS = "systemctl show --value --property=InvocationID stemedb-api.service nginx.service"


class Site:
    """A converged host, and the run of nginx's role alone for a name that an ACME client looks after."""

    def __init__(self, host: Container, folder: Path) -> None:
        self.host = host
        self.inventory = str(host.inventory(folder))

    def play(self) -> Run:
        given: dict[str, object] = {"stemedb_nginx_server_name": NAME, "stemedb_nginx_tls_mode": "acme"}
        return play("-i", self.inventory, "tests/host/tls.yml", variables=given)

    def ask(self, path: str) -> tuple[int, str, str]:
        """What port 80 answers: status, where it leads, and how its text begins."""
        status, location, *text = self.host.run(f"python3 - '{path}' <<'END'\n{ASK}END\n").split(maxsplit=2)
        return int(status), location, "".join(text).strip()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("acme")
    # The authority and the client come from the distribution's archive.
    with container("acme", folder, root=converged.root(), offline=False) as host:
        site = Site(host, folder)
        run = site.play()
        assert run.status == 0, run.output
        host.run(AUTHORITY)
        yield site


def test_serves_challenges_over_port_80_and_redirects_the_rest(site: Site) -> None:
    site.host.run(f"nginx -t && mkdir -p {CHALLENGES} && echo answer > {CHALLENGES}/token")
    assert site.ask("/.well-known/acme-challenge/token") == (200, "-", "answer")
    assert site.ask("/.well-known/acme-challenge/other")[0] == 404
    for path in ("/", "/v1/health", "/.well-known/security.txt", "/.well-known/acme-challenge/../../token"):
        status, location, _ = site.ask(path)
        assert (status, location) == (308, f"https://{NAME}{path}")
    site.host.run(f"rm -r {CHALLENGES}")


def test_gets_a_certificate_and_serves_it(site: Site) -> None:
    units = site.host.run(UNITS)
    said = site.host.run(ORDER)
    assert "Successfully received certificate" in said
    issuer = site.host.run("openssl x509 -noout -issuer -in /etc/stemedb/tls/cert.pem")
    assert "Pebble" in issuer
    assert "Verify return code: 0 (ok)" in site.host.run(SERVED)  # with its chain
    assert site.host.run("stat -c '%a %U' /etc/stemedb/tls/key.pem") == "600 root\n"
    assert site.host.run(UNITS) == units  # loaded, nothing restarted


def test_is_left_to_the_client_by_later_runs(site: Site) -> None:
    before = site.host.run("cat /etc/stemedb/tls/cert.pem")
    first, second = site.play(), site.play()
    assert (first.status, second.status, second.changed) == (0, 0, 0), first.output + second.output
    assert site.host.run("cat /etc/stemedb/tls/cert.pem") == before
    assert "max-age=63072000" in site.host.run("cat /etc/nginx/sites-enabled/stemedb")  # somebody signed it


def test_is_renewed_through_the_hook(site: Site) -> None:
    before = site.host.run(SERVED)
    metric = "cat /var/lib/stemedb-metrics/stemedb_tls.prom"
    site.host.run(RENEW)
    after = site.host.run(SERVED)
    assert "Verify return code: 0 (ok)" in after
    assert after != before
    ends = site.host.run(
        'date -d "$(openssl x509 -noout -enddate -in /etc/stemedb/tls/cert.pem | cut -d= -f2)" +%s'
    )
    assert f"\nstemedb_tls_cert_expiry_seconds {ends}" in site.host.run(metric)
