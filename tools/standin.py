"""The root of a stand-in for RHEL 9: Debian underneath, dnf and Red Hat's names on top.

Usage: standin.py root    print the name of the baked root, made if there is none (about a minute)

It is no RHEL. What it shows for real is dnf and its packages' names, the paths of that family
(/etc/sysconfig, conf.d), the facts by which roles choose, and a host without SELinux. Its programs are
Debian's. The packages that dnf installs are hollow: one of each name in tests/host/recorded/redhat-9.yml,
from a repository on the host itself, so that a name that is not recorded cannot be installed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script, from any folder
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import yaml

from tools import testhost

BUILDER = "standin-builder"
RECORDED = testhost.REPOSITORY / "tests" / "host" / "recorded" / "redhat-9.yml"
SPEC = """Name: {name}
Version: 9
Release: 1
Summary: A hollow stand-in
License: None
BuildArch: noarch
%description
Nothing.
%files
"""
# One hollow package is installed at once: tools fail on a database of rpm that is empty.
SCRIPT = r"""
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq --yes --no-install-recommends dnf python3-dnf rpm createrepo-c >/dev/null
apt-get clean
rm -rf /var/lib/apt/lists/*
mkdir -p /srv/hollow /etc/sysconfig /etc/yum.repos.d
for spec in /root/hollow/*.spec; do
    rpmbuild -bb --quiet --define '_rpmdir /srv/hollow' "$spec" >/dev/null 2>&1
done
rm -r /root/hollow
createrepo_c --quiet /srv/hollow
cat > /etc/yum.repos.d/hollow.repo <<END
[hollow]
name=Hollow stand-ins
baseurl=file:///srv/hollow
gpgcheck=0
END
# Debian's programs where Red Hat's packages have them, and nginx set up as there: no server is the default.
ln -s prometheus-node-exporter /usr/bin/node_exporter
ln -s cron /usr/sbin/crond
rm -r /etc/nginx/sites-enabled /etc/nginx/sites-available
cat > /etc/nginx/nginx.conf <<'END'
user www-data;
worker_processes auto;
error_log /var/log/nginx/error.log;
pid /run/nginx.pid;
events { worker_connections 1024; }
http {
    access_log /var/log/nginx/access.log;
    sendfile on;
    types_hash_max_size 4096;
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    include /etc/nginx/conf.d/*.conf;
    server {
        listen 80;
        listen [::]:80;
        server_name _;
        root /usr/share/nginx/html;
    }
}
END
rm -f /etc/debian_version /etc/os-release /usr/lib/os-release
cat > /etc/os-release <<END
NAME="Red Hat Enterprise Linux"
VERSION="9.4 (Plow)"
ID="rhel"
ID_LIKE="fedora"
VERSION_ID="9.4"
PLATFORM_ID="platform:el9"
PRETTY_NAME="Red Hat Enterprise Linux 9.4 (Plow), a stand-in on Debian"
END
echo 'Red Hat Enterprise Linux release 9.4 (Plow)' > /etc/redhat-release
dnf install --quiet --assumeyes coreutils
"""


def main() -> None:
    """Read the command line and do the one thing it names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("command", choices=("root",))
    parser.parse_args()
    try:
        print(root())
    except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
        sys.exit(f"standin: {error}")


def root() -> str:
    """The name of the baked root, made if there is none for these packages and this script."""
    packages = sorted(yaml.safe_load(RECORDED.read_text())["packages"])
    recipe = json.dumps([testhost.base_root().name, SCRIPT, SPEC, packages])
    name = f"standin-rhel-9-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    if not testhost.baked_folder(name).is_dir():
        print(f"Making {testhost.baked_folder(name)}: a minute, once.", file=sys.stderr, flush=True)
        try:
            testhost.up(BUILDER)
            inside(specs(packages) + SCRIPT)
            testhost.bake(BUILDER, name)
        finally:
            testhost.down(BUILDER)
    return name


def specs(packages: list[str]) -> str:
    """The script that writes what rpmbuild reads."""
    written = [
        f"cat > '/root/hollow/{each}.spec' <<'END'\n{SPEC.format(name=each)}END\n" for each in packages
    ]
    return "mkdir -p /root/hollow\n" + "".join(written)


def inside(script: str) -> None:
    """Run a script as root in the container."""
    testhost.podman("exec", "--interactive", testhost.full_name(BUILDER), "bash", stdin=script)


if __name__ == "__main__":
    main()
