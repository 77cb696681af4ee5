"""What somebody does to a host by hand, role by role, and all that is on a host, to be compared."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tests.host.containers import Container


class ByHand(NamedTuple):
    """What somebody has done to a role's part, the tasks that see it, and words of the difference shown."""

    script: str
    tasks: set[str]
    shown: str


# A file and a unit of each role.
BY_HAND = {
    "stemedb": ByHand(
        "echo '# by hand' >> /etc/stemedb/config.env; sed -i 's/NoNewPrivileges=true/NoNewPrivileges=false/'"
        " /etc/systemd/system/stemedb-api.service; systemctl disable -q stemedb-api.service",
        {"Write the configuration", "Write the service unit", "Enable and start the units"},
        "-NoNewPrivileges=false",
    ),
    "stemedb_firewall": ByHand(
        "iptables -w 10 -D STEMEDB -p tcp -m tcp --dport 18180 -j DROP;"
        " echo '# by hand' >> /etc/iptables/rules.v4; systemctl disable -q stemedb-firewall.service",
        {
            "Bring the rules, to be taken back unless they are confirmed",
            "Keep the rules across reboots",
            "Enable and start the unit",
        },
        "-# by hand",
    ),
    "stemedb_nginx": ByHand(
        "sed -i 's/TLSv1.2 TLSv1.3/TLSv1 TLSv1.2 TLSv1.3/' /etc/nginx/sites-available/stemedb;"
        " systemctl stop stemedb-tls-expiry.timer",
        {"Write the site", "Enable and start nginx and the timer"},
        "-    ssl_protocols TLSv1 TLSv1.2 TLSv1.3;",
    ),
    "stemedb_node_exporter": ByHand(
        "sed -i 's/ProtectHome=read-only/ProtectHome=false/'"
        " /etc/systemd/system/prometheus-node-exporter.service.d/stemedb.conf;"
        " systemctl stop prometheus-node-exporter.service",
        {"Write how node_exporter is started", "Enable and start node_exporter"},
        "-ProtectHome=false",
    ),
    "stemedb_backup": ByHand(
        "sed -i 's/WatchdogSec=60s/WatchdogSec=0/' /etc/systemd/system/stemedb-archive.service;"
        " chmod 0777 /usr/local/bin/backup-stemedb.sh; crontab -r; systemctl stop stemedb-drill.timer",
        {
            "Write the archive's unit",
            "Write the scripts",
            "Write the line of root's crontab",
            "Start the timers, or stop them",
        },
        "-WatchdogSec=0",
    ),
    "stemedb_monitoring": ByHand(
        "sed -i 's/scrape_interval: .*/scrape_interval: 5m/' /etc/prometheus/prometheus.yml;"
        " systemctl stop prometheus.service",
        {"Write the configuration", "Enable and start Prometheus"},
        "-  scrape_interval: 5m",
    ),
}
# What the system writes at any time, nginx makes for itself and Prometheus has measured (their packages
# stay), and the name that a container gets from outside.
NOISE = (
    "/(proc|sys|dev|run|tmp|root|home/deploy|etc/(hosts|hostname)"
    "|var/(log|tmp|cache|lib/(systemd|prometheus|nginx)))(/.*)?"
)
BACKUPS_OF_ACCOUNTS = r"/etc/(passwd|group|shadow|gshadow|subuid|subgid)-"
# Two lines a file: its mode and owner, its content. What goes while it is read has the former only.
LISTING = f"""
look() {{
    find / -xdev -regextype posix-extended -regex '{NOISE}' -prune -o -regex '{BACKUPS_OF_ACCOUNTS}' -o "$@"
}}
look \\( -type l -printf '%p %y %l\\n' -o -type d,f -printf '%p %y %m %u %g\\n' \\)
(look -type f -exec md5sum {{}} + || true) | sed -E 's,^(\\S+) [ *](.*)$,\\2 \\1,'
"""
OUR_NAME = "find / -xdev -not -path '/proc/*' -iname '*stemedb*'"
# Ports that listen, rules, and units that run or wait.
ALIVE = """
ss --no-header --listening --tcp --numeric | awk '{print $4}' | sort
iptables -S; ip6tables -S
systemctl list-units --no-legend --state=active,failed 'stemedb*' 'nginx*' 'prometheus*' | awk '{print $1}'
"""
UNITS = (
    "systemctl show --property=Id,UnitFileState,ActiveState,InvocationID 'stemedb-*' 'nginx*' 'prometheus*'"
)
# What stays unless it is asked for, and the account that it belongs to.
DATA = "/(data|backups|var/backups/stemedb|var/lib/stemedb-metrics)[/ ]"
ACCOUNTS = {"/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"}


def without_data(host: Container) -> set[str]:
    """Every file, folder and link but data: modes, owners, contents."""
    return {line for line in host.run(LISTING).splitlines() if not re.match(DATA, line)}


def as_it_is(host: Container) -> tuple[set[str], str, str]:
    """All that a run might have changed."""
    return without_data(host), host.run("iptables -S; ip6tables -S; crontab -l || true"), host.run(UNITS)
