#!/usr/bin/python
"""Ansible module: a chain of iptables for our own ports, taken back by itself if it cuts us off."""

from __future__ import annotations

DOCUMENTATION = """
module: stemedb_firewall
short_description: Keep a chain of our own in iptables, for IPv4 and IPv6
description:
  - C(applied) makes the chain what C(openings) say, in one step, a second after it has answered; unless
    C(confirmed) follows within C(revert_s), the former rules come back by themselves.
  - C(confirmed) is to be asked over a new connection. It ends the waiting, and fails where the rules went
    back.
  - Only the chain and its one jump in INPUT are ever touched.
author: The StemeDB authors
options:
  state: {description: What is wanted., choices: [applied, confirmed], type: str, required: true}
  openings:
    description: "Our own ports and who may reach each: port, networks, verdict (ACCEPT or RETURN)."
    type: list
    elements: dict
    required: true
  files: {description: "Where rules are kept, IPv4 first.", type: list, elements: path, required: true}
  spare_files: {description: The same beside another's file., type: list, elements: path, required: true}
  revert_s: {description: Seconds until unconfirmed rules are taken back., type: int, default: 30}
"""
EXAMPLES = """
- name: Let only the internal network reach the API
  stemedb_firewall:
    state: applied
    openings:
      - {port: 18180, networks: [10.0.0.0/8, "fd00::/8"], verdict: ACCEPT}
    files: [/etc/iptables/rules.v4, /etc/iptables/rules.v6]
    spare_files: [/etc/iptables/stemedb.v4, /etc/iptables/stemedb.v6]
"""
RETURN = """
kept:
  description: For each family where its rules are to be kept (path), and the file's text (content).
  returned: always
  type: list
"""

import shutil  # noqa: E402  (a module's documentation stands first)
import subprocess  # noqa: E402
import time  # noqa: E402
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any, NamedTuple  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402

CHAIN = "STEMEDB"
JUMP = ["INPUT", "-j", CHAIN]
MARK = "# The firewall of StemeDB. Written by Ansible; read by stemedb-firewall.service."
FOLDER = Path("/run/stemedb-firewall")
APPLY, REVERT = "stemedb-firewall-apply", "stemedb-firewall-revert"
# Long enough for the answer to be on its way before the rules can cut it off.
APPLY_AFTER_S = 1
SETTLE_S = 5
LOCK_WAIT_S = "10"
PORT_MAX = 65535
SBIN = "/usr/sbin:/sbin:/usr/bin:/bin"


class FirewallError(Exception):
    """What cannot be done, in words for the operator."""


class Opening(NamedTuple):
    """One of our ports and who may reach it."""

    port: int
    networks: list[IPv4Network | IPv6Network]
    verdict: str


class Family(NamedTuple):
    """One of the two address families: its commands are named alike."""

    version: int
    command: str

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run iptables or, with a leading suffix such as `-restore`, a sibling of it."""
        suffix = arguments[0] if arguments and arguments[0] == "-restore" else ""
        name = shutil.which(self.command + suffix, path=SBIN)
        if not name:
            raise FirewallError(f"{self.command}{suffix} is missing; its package should have brought it.")
        given = [name, "-w", LOCK_WAIT_S, *arguments[1 if suffix else 0 :]]
        return subprocess.run(given, input=stdin, capture_output=True, text=True, check=False)  # noqa: S603

    @property
    def is_installed(self) -> bool:
        """Whether its command is there; in check mode its package may only be about to come."""
        return shutil.which(self.command, path=SBIN) is not None


FAMILIES = (Family(4, "iptables"), Family(6, "ip6tables"))


def read_openings(given: list[dict[str, Any]]) -> list[Opening]:
    """Read the openings; networks may be of both families and need not be written neatly.

    Raises:
        FirewallError: a port or network is none.
    """
    openings = []
    for entry in given:
        try:
            port = int(entry["port"])
            networks = [ip_network(str(text).strip(), strict=False) for text in entry["networks"]]
        except (KeyError, TypeError, ValueError) as error:
            raise FirewallError(f"No port with its networks: {entry}: {error}.") from None
        if not 0 < port <= PORT_MAX or entry["verdict"] not in {"ACCEPT", "RETURN"}:
            raise FirewallError(f"No port with its networks: {entry}.")
        openings.append(Opening(port, networks, entry["verdict"]))
    return openings


def rules_of(openings: list[Opening], version: int) -> list[str]:
    """Write the chain's rules for one family, as `iptables -S` shows them.

    Without connection tracking on purpose: what the rules say holds at once, for open connections, too.
    """
    rules = [f"-A {CHAIN} -i lo -j RETURN"]
    for opening in openings:
        match = f"-p tcp -m tcp --dport {opening.port}"
        own = [network for network in opening.networks if network.version == version]
        for network in collapse_addresses(own):
            source = f"-s {network} " if network.prefixlen else ""
            rules.append(f"-A {CHAIN} {source}{match} -j {opening.verdict}")
        rules.append(f"-A {CHAIN} {match} -j DROP")
    return rules


def restore_text(rules: list[str]) -> str:
    """Write what `iptables-restore --noflush` reads: it replaces this one chain, in one step."""
    return "\n".join(["*filter", f":{CHAIN} - [0:0]", *rules, "COMMIT", ""])


def normalised(rules: list[str]) -> list[frozenset[tuple[str, ...]]]:
    """Make rules comparable: iptables writes the parts of one in an order of its own."""
    found = []
    for rule in rules:
        parts: list[list[str]] = []
        for word in rule.split():
            if word.startswith("-"):
                parts.append([])
            parts[-1].append(word)
        found.append(frozenset(tuple(part) for part in parts))
    return found


def live_rules(family: Family) -> list[str] | None:
    """Read the chain's rules as they are; None where there is no such chain."""
    shown = family.run("-S", CHAIN)
    if shown.returncode:
        return None
    return [line for line in shown.stdout.splitlines() if line.startswith("-A ")]


def has_jump(family: Family) -> bool:
    """Whether INPUT leads through the chain."""
    return family.run("-C", *JUMP).returncode == 0


def stands(family: Family, rules: list[str]) -> bool:
    """Whether the chain is what is wanted, and in use."""
    found = live_rules(family)
    return found is not None and normalised(found) == normalised(rules) and has_jump(family)


def kept_file(path: Path, fallback: Path) -> Path:
    """Choose where the rules are kept: another's file is left alone."""
    if path.is_symlink() or (path.exists() and not path.read_text(errors="replace").startswith(MARK)):
        return fallback
    return path


# -- two small scripts: one brings the new rules, one the former ones back -----------------------------------


def apply_script(wanted: dict[int, Path]) -> str:
    """Write the script that brings the new rules."""
    lines = ["set -e"]
    for family in FAMILIES:
        command = f"{family.command} -w {LOCK_WAIT_S}"
        lines += [
            f"{family.command}-restore -w {LOCK_WAIT_S} --noflush {wanted[family.version]}",
            f"{command} -C {' '.join(JUMP)} 2>/dev/null || {command} -I {' '.join(JUMP)}",
        ]
    return "\n".join([*lines, ""])


def revert_script(former: dict[int, Path | None], jumped: dict[int, bool]) -> str:
    """Write the script that brings the former rules back, as far as it can whatever fails."""
    lines = []
    for family in FAMILIES:
        command = f"{family.command} -w {LOCK_WAIT_S}"
        if not jumped[family.version]:
            lines.append(f"{command} -D {' '.join(JUMP)}")
        path = former[family.version]
        if path:
            lines.append(f"{family.command}-restore -w {LOCK_WAIT_S} --noflush {path}")
        else:
            lines += [f"{command} -F {CHAIN}", f"{command} -X {CHAIN}"]
    return "\n".join([*lines, ""])


def schedule(name: str, after_s: int, script: Path) -> None:
    """Have systemd run a script in a while, whatever becomes of us.

    Raises:
        FirewallError: systemd will not.
    """
    command = [
        *("systemd-run", "--quiet", "--collect", f"--unit={name}", f"--on-active={after_s}s"),
        # Without it systemd may take a minute more, to spare wake-ups.
        "--timer-property=AccuracySec=100ms",
        *(f"--setenv=PATH={SBIN}", "/bin/sh", str(script)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise FirewallError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()}")


def unschedule(*names: str) -> None:
    """Take back what was scheduled; what is not there is no matter."""
    timers = [f"{name}.timer" for name in names]
    subprocess.run(["systemctl", "stop", *timers], capture_output=True, check=False)  # noqa: S603, S607


def is_unfinished() -> bool:
    """Whether a run that was killed in between has left rules that nobody confirmed."""
    command = ["systemctl", "is-active", "--quiet", f"{REVERT}.timer"]
    return subprocess.run(command, check=False).returncode == 0  # noqa: S603


def take_back() -> None:
    """Do at once what the timer would do in a while."""
    unschedule(APPLY, REVERT)
    environment = {"PATH": SBIN}
    script = ["/bin/sh", str(FOLDER / "revert.sh")]
    subprocess.run(script, capture_output=True, check=False, env=environment)  # noqa: S603


def bring(rules: dict[int, list[str]], revert_s: int) -> None:
    """Check the new rules, note the former ones, and schedule first the way back, then the change.

    Raises:
        FirewallError: iptables refuses the rules, or systemd the timers.
    """
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    wanted: dict[int, Path] = {}
    former: dict[int, Path | None] = {}
    for family in FAMILIES:
        text = restore_text(rules[family.version])
        tried = family.run("-restore", "--noflush", "--test", stdin=text)
        if tried.returncode:
            raise FirewallError(f"{family.command}-restore refuses the rules:\n{tried.stderr}{text}")
        wanted[family.version] = FOLDER / f"wanted.v{family.version}"
        wanted[family.version].write_text(text)
        found = live_rules(family)
        path = FOLDER / f"former.v{family.version}"
        if found is not None:
            path.write_text(restore_text(found))
        former[family.version] = path if found is not None else None
    jumped = {family.version: has_jump(family) for family in FAMILIES}
    apply, revert = FOLDER / "apply.sh", FOLDER / "revert.sh"
    apply.write_text(apply_script(wanted))
    revert.write_text(revert_script(former, jumped))
    schedule(REVERT, revert_s, revert)
    schedule(APPLY, APPLY_AFTER_S, apply)


def confirm(rules: dict[int, list[str]]) -> None:
    """Keep the rules for good.

    Raises:
        FirewallError: they are not there, be it that they never came or that they went back.
    """
    end = time.monotonic() + SETTLE_S
    while not all(stands(family, rules[family.version]) for family in FAMILIES):
        if time.monotonic() > end:
            raise FirewallError(
                "The new rules do not stand: they could not be applied, or were taken back already."
            )
        time.sleep(0.2)
    unschedule(REVERT)
    # The timer may have been faster than we were.
    if not all(stands(family, rules[family.version]) for family in FAMILIES):
        raise FirewallError("The new rules were taken back before this connection came.")
    shutil.rmtree(FOLDER, ignore_errors=True)


def main() -> None:
    """Run as Ansible's module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "required": True, "choices": ["applied", "confirmed"]},
            "openings": {"type": "list", "elements": "dict", "required": True},
            "files": {"type": "list", "elements": "path", "required": True},
            "spare_files": {"type": "list", "elements": "path", "required": True},
            "revert_s": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    asked = module.params
    try:
        openings = read_openings(asked["openings"])
        rules = {family.version: rules_of(openings, family.version) for family in FAMILIES}
        kept = [
            {
                "path": str(kept_file(Path(path), Path(fallback))),
                "content": f"{MARK}\n{restore_text(rules[family.version])}",
            }
            for family, path, fallback in zip(FAMILIES, asked["files"], asked["spare_files"])
        ]
        changed = False
        if asked["state"] == "applied":
            changed = is_unfinished()
            if changed and not module.check_mode:
                take_back()
            changed = changed or not all(
                family.is_installed and stands(family, rules[family.version]) for family in FAMILIES
            )
            if changed and not module.check_mode:
                bring(rules, asked["revert_s"])
        elif not module.check_mode:
            confirm(rules)
        module.exit_json(changed=changed, kept=kept)
    except (FirewallError, OSError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
