#!/usr/bin/python
"""Ansible module: compare a host with what is asked of it, in one table. It reads and never changes."""

from __future__ import annotations

DOCUMENTATION = """
module: stemedb_preflight
short_description: Compare a host with what StemeDB asks of it
description:
  - Looks at the system, its size, the folders' disks, the listening port and Python.
  - Fails with one table of everything that is short; what is only doubtful is a warning.
author: The StemeDB authors
options:
  os_name: {description: Name and version of the system., type: str, required: true}
  os_supported: {description: Whether the roles know it., type: bool, required: true}
  service_manager: {description: What runs as process 1., type: str, required: true}
  python: {description: The interpreter that will run the service., type: str, required: true}
  python_version: {description: The version that the wheelhouse was built for., type: str, required: true}
  python_package: {description: What would install it; empty if nothing would., type: str, default: ""}
  vcpus: {description: Processors of the profile; 0 asks for none., type: int, default: 0}
  memory_gb: {description: Memory of the profile; 0 asks for none., type: int, default: 0}
  folders: {description: "Data folders: path, purpose, disk_gb.", type: list, elements: dict, default: []}
  view_folder: {description: Where the view lies., type: str, required: true}
  map_bytes: {description: How large the view may become., type: int, required: true}
  backup_folder: {description: Where backups go., type: str, required: true}
  bind_addr: {description: The address the service listens at., type: str, required: true}
  enforce_sizes: {description: Whether sizes stop the play or only warn., type: bool, default: true}
  own_firewall: {description: Whether the rules of the firewall are to be ours., type: bool, default: false}
  ports: {description: "Further ports, each with the units that may hold it: port, units.", type: list,
    elements: dict, default: []}
"""
EXAMPLES = """
- name: Compare the host with what is asked of it
  stemedb_preflight:
    os_name: Debian 12
    os_supported: true
    service_manager: systemd
    python: /usr/bin/python3
    python_version: "3.11"
    view_folder: /data/db
    map_bytes: 68719476736
    backup_folder: /backups
    bind_addr: 0.0.0.0:18180
"""
RETURN = """
rows:
  description: Every comparison with what, wanted, found and verdict (ok, warn or stop).
  returned: always
  type: list
"""

import os  # noqa: E402  (a module's documentation stands first)
import subprocess  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any, NamedTuple  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402

OK, WARN, STOP = "ok", "warn", "stop"
GB = 10**9
VCPUS_MIN = 2
# A machine sold as 4 GB shows a little less, and a file system less than its disk.
MEMORY_SHARE, DISK_SHARE = 0.90, 0.95
# The unit's sandbox hides these folders from the service.
HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp", "/dev", "/proc", "/sys")  # noqa: S108
UNITS = ("stemedb-api.service", "stemedb-api.socket")
LISTEN = "0A"


class Row(NamedTuple):
    """One comparison."""

    what: str
    wanted: str
    found: str
    verdict: str


def system_rows(name: str, *, supported: bool, manager: str) -> list[Row]:
    """Judge what kind of host this is."""
    return [
        Row("system", "Debian 12, Ubuntu 22.04 or RHEL 9", name or "unknown", OK if supported else STOP),
        Row("services", "systemd", manager, OK if manager == "systemd" else STOP),
    ]


def python_row(path: str, package: str, wanted: str, found: str) -> Row:
    """Judge the interpreter; an absent one (found nothing) is fine where a package brings it."""
    if not found and package:
        return Row("python", wanted, f"comes with package {package}", OK)
    return Row(
        "python",
        f"{wanted} with venv and ssl",
        f"{path} is {found}" if found else f"no usable {path}",
        OK if found == wanted else STOP,
    )


def processor_row(found: int, wanted: int, short: str) -> Row:
    """Judge the processors: two are the floor, the profile's number a wish that the pilot's examples miss."""
    verdict = short if found < VCPUS_MIN else WARN if found < wanted else OK
    return Row("processors", f"{wanted} vCPU, at least {VCPUS_MIN}", f"{found} vCPU", verdict)


def memory_row(found_bytes: int, wanted_gb: int, short: str) -> Row:
    """Judge the memory."""
    enough = found_bytes >= MEMORY_SHARE * wanted_gb * GB
    return Row("memory", f"{wanted_gb} GB", gigabytes(found_bytes), OK if enough else short)


class Disk(NamedTuple):
    """A file system as one folder sees it."""

    device: int
    mount: str
    size_bytes: int


def disk_rows(folders: list[dict[str, Any]], backup: str, disks: dict[str, Disk], short: str) -> list[Row]:
    """Judge the file systems: folders that share one need the sum of what each needs."""
    rows = []
    needs: dict[int, list[dict[str, Any]]] = {}
    for folder in folders:
        needs.setdefault(disks[folder["path"]].device, []).append(folder)
    for members in needs.values():
        disk = disks[members[0]["path"]]
        wanted = sum(int(member["disk_gb"]) for member in members)
        names = " and ".join(str(member["purpose"]) for member in members)
        enough = disk.size_bytes >= DISK_SHARE * wanted * GB
        rows.append(
            Row(
                f"disk of {names}",
                f"{wanted} GB",
                f"{gigabytes(disk.size_bytes)} at {disk.mount}",
                OK if enough else short,
            )
        )
    total = sum(int(folder["disk_gb"]) for folder in folders)
    spare = disks[backup]
    shared = spare.device in needs
    rows.append(
        Row(
            "disk of backups",
            f"{total} GB, not the data's own disk",
            f"{gigabytes(spare.size_bytes)} at {spare.mount}" + (", the data's own disk" if shared else ""),
            WARN if shared or spare.size_bytes < DISK_SHARE * total * GB else OK,
        )
    )
    return rows


def map_row(disk: Disk, map_bytes: int) -> Row:
    """Judge the view's map: on a greater disk it ends before the disk does, and nothing warns of the disk."""
    return Row(
        "map of the view",
        f"at least its disk, or watched: {gigabytes(map_bytes)}",
        f"{gigabytes(disk.size_bytes)} at {disk.mount}",
        WARN if disk.size_bytes > map_bytes else OK,
    )


def clock_row(said: str) -> Row:
    """Judge the clock by what `timedatectl` says; what keeps it is installed by the run."""
    found = {"yes": "yes", "no": "not yet"}.get(said, "unknown")
    return Row("clock", "synchronised", found, OK if said == "yes" else WARN)


def folder_rows(folders: list[dict[str, Any]]) -> list[Row]:
    """Refuse folders that the service will not see; says nothing about the others."""
    return [
        Row(f"folder of the {folder['purpose']}", "not below " + ", ".join(HIDDEN), str(folder["path"]), STOP)
        for folder in folders
        if any(
            str(folder["path"]) == hidden or str(folder["path"]).startswith(hidden + "/") for hidden in HIDDEN
        )
    ]


def port_row(port: int, holders: list[str], ours: tuple[str, ...] = UNITS) -> Row:
    """Judge who listens there already; our own units may."""
    foreign = sorted({holder for holder in holders if not holder.startswith(ours)})
    return Row(
        "port",
        f"{port}/tcp free or ours",
        ", ".join(foreign) or ("ours" if holders else "free"),
        STOP if foreign else OK,
    )


def firewall_row(active: list[str]) -> Row:
    """Judge whose firewall it is: two that both decide are one too many."""
    if not active:
        return Row("firewall", "no other", "none", OK)
    names = " and ".join(active)
    ways_out = f"disable {names}, or leave the rules to it: stemedb_firewall_enabled: false"
    return Row("firewall", "no other", f"{names} is active; {ways_out}", STOP)


def table(rows: list[Row]) -> str:
    """Lay the rows out in columns."""
    lines = [
        ("", *Row._fields[1:3]),
        *((f"{row.verdict:>4}  {row.what}", row.wanted, row.found) for row in rows),
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    return "\n".join(
        "  ".join(text.ljust(widths[column]) for column, text in enumerate(line)).rstrip() for line in lines
    )


def gigabytes(size_bytes: int) -> str:
    """Say a size as the pilot's tables do."""
    return f"{size_bytes / GB:.1f} GB"


# -- what is read off the host ------------------------------------------------------------------------------


def memory_bytes(meminfo: str) -> int:
    """Read the total off /proc/meminfo, which counts in KiB."""
    for line in meminfo.splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 0


def disk_of(path: str) -> Disk:
    """Find the file system that holds `path` or will hold it."""
    here = Path(path)
    while not here.exists():
        here = here.parent
    size = os.statvfs(here)
    device = here.stat().st_dev
    mount = here.resolve()
    while mount != mount.parent and mount.parent.stat().st_dev == device:
        mount = mount.parent
    return Disk(device, str(mount), size.f_blocks * size.f_frsize)


def python_version(path: str) -> str:
    """Ask the interpreter for its version and for what the installation needs of it; empty if it has not."""
    if not Path(path).exists():
        return ""
    code = "import ctypes, ssl, sys, venv; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([path, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout.strip()


def clock() -> str:
    """Ask systemd whether the clock is kept: yes, no, or nothing where it does not say."""
    command = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError:
        return ""
    return done.stdout.strip()


def listeners(port: int, tables: list[str]) -> set[str]:
    """Read the socket inodes that listen on `port` off /proc/net/tcp and tcp6."""
    fields = [line.split() for text in tables for line in text.splitlines()[1:]]
    return {
        field[9] for field in fields if field[3] == LISTEN and int(field[1].rpartition(":")[2], 16) == port
    }


def active_firewalls() -> list[str]:
    """Name the firewalls that are in use; ufw's unit is always active on Ubuntu and says nothing."""
    command = ["systemctl", "is-active", "--quiet", "firewalld.service"]
    found = [] if subprocess.run(command, check=False).returncode else ["firewalld"]  # noqa: S603
    ufw, settings = Path("/usr/sbin/ufw"), Path("/etc/ufw/ufw.conf")
    if ufw.exists() and settings.exists() and "enabled=yes" in settings.read_text().lower().splitlines():
        found.append("ufw")
    return found


def holders_of(inodes: set[str], ours: tuple[str, ...] = UNITS) -> list[str]:
    """Name the unit, else the process, behind each socket."""
    found = []
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            held = any(str(handle.readlink()) in wanted for handle in (process / "fd").iterdir())
            if held:
                found.append(holder_name(process, ours))
        except OSError:  # it ended while we looked, or a handle did
            continue
    return found or (["an unknown process"] if inodes else [])


def holder_name(process: Path, ours: tuple[str, ...]) -> str:
    """Name the unit that a process belongs to; process 1 holds the sockets of socket units."""
    name = (process / "comm").read_text().strip()
    if process.name == "1":
        active = subprocess.run(  # noqa: S603
            ["systemctl", "is-active", "--quiet", UNITS[1]],  # noqa: S607
            check=False,
        )
        return UNITS[1] if active.returncode == 0 else f"a socket unit of {name}"
    unit = (process / "cgroup").read_text().strip().rpartition("/")[2]
    return unit if unit in ours else f"{name} (process {process.name})"


def further_port_row(entry: dict[str, Any], tables: list[str]) -> Row:
    """Judge a port of one of the other roles."""
    port, ours = int(entry["port"]), tuple(entry["units"])
    return port_row(port, holders_of(listeners(port, tables), ours), ours)


def compare(asked: dict[str, Any]) -> list[Row]:
    """Read the host and judge it."""
    short = STOP if asked["enforce_sizes"] else WARN
    paths = [*(str(folder["path"]) for folder in asked["folders"]), asked["backup_folder"]]
    port = int(asked["bind_addr"].rpartition(":")[2])
    tables = [path.read_text() for path in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")) if path.exists()]
    rows = [
        *system_rows(asked["os_name"], supported=asked["os_supported"], manager=asked["service_manager"]),
        python_row(
            asked["python"],
            asked["python_package"],
            asked["python_version"],
            python_version(asked["python"]),
        ),
        port_row(port, holders_of(listeners(port, tables))),
        *[further_port_row(entry, tables) for entry in asked["ports"]],
        *([firewall_row(active_firewalls())] if asked["own_firewall"] else []),
        *folder_rows(asked["folders"]),
        clock_row(clock()),
        map_row(disk_of(asked["view_folder"]), asked["map_bytes"]),
    ]
    if asked["memory_gb"]:
        rows += [
            processor_row(len(os.sched_getaffinity(0)), asked["vcpus"], short),
            memory_row(memory_bytes(Path("/proc/meminfo").read_text()), asked["memory_gb"], short),
            *disk_rows(
                asked["folders"], asked["backup_folder"], {path: disk_of(path) for path in paths}, short
            ),
        ]
    return rows


def main() -> None:
    """Run as Ansible's module."""
    module = AnsibleModule(
        argument_spec={
            "os_name": {"type": "str", "required": True},
            "os_supported": {"type": "bool", "required": True},
            "service_manager": {"type": "str", "required": True},
            "python": {"type": "str", "required": True},
            "python_version": {"type": "str", "required": True},
            "python_package": {"type": "str", "default": ""},
            "vcpus": {"type": "int", "default": 0},
            "memory_gb": {"type": "int", "default": 0},
            "folders": {"type": "list", "elements": "dict", "default": []},
            "view_folder": {"type": "str", "required": True},
            "map_bytes": {"type": "int", "required": True},
            "backup_folder": {"type": "str", "required": True},
            "bind_addr": {"type": "str", "required": True},
            "enforce_sizes": {"type": "bool", "default": True},
            "own_firewall": {"type": "bool", "default": False},
            "ports": {"type": "list", "elements": "dict", "default": []},
        },
        supports_check_mode=True,
    )
    rows = compare(module.params)
    result = [row._asdict() for row in rows]
    if any(row.verdict == STOP for row in rows):
        module.fail_json(
            msg=f"This host is not what was asked for; nothing was changed.\n{table(rows)}", rows=result
        )
    for row in rows:
        if row.verdict == WARN:
            module.warn(f"{row.what}: wanted {row.wanted}, found {row.found}")
    module.exit_json(changed=False, rows=result)


if __name__ == "__main__":
    main()
