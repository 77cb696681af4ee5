#!/usr/bin/python
"""Ansible module: keep with each release the files it was healthy with, and put them back together."""

from __future__ import annotations

DOCUMENTATION = """
module: stemedb_kept
short_description: Keep what a release of StemeDB ran with, and return to it
description:
  - Configuration and units belong to a release - an older one refuses settings that it does not know.
  - A release that passed its health gate gets copies of them in its folder C(.kept).
  - C(healthy) leads to the release that passed it last.
  - Going back puts the copies and the link C(current) back together.
author: The StemeDB authors
options:
  state:
    description: >-
      kept after the health gate. returned goes back to the release that passed it last; previous to the named
      one, or to the newest other one that has passed it.
    choices: [kept, returned, previous]
    type: str
    required: true
  base: {description: The folder with C(releases), C(current) and C(healthy)., type: path, required: true}
  files: {description: What belongs together with the release., type: list, elements: path, required: true}
  release: {description: "Where to (previous): a release or a version.", type: str, default: ""}
"""
EXAMPLES = """
- name: Go back to what was healthy
  stemedb_kept:
    state: returned
    base: /opt/stemedb
    files: [/etc/stemedb/config.env]
"""
RETURN = """
release: {description: The release that the link leads to now., returned: always, type: str}
left: {description: The release that it led to before., returned: always, type: str}
files: {description: The files that were put back., returned: returned and previous, type: list}
moved: {description: Whether files or link are others now., returned: returned and previous, type: bool}
"""

import os  # noqa: E402  (a module's documentation stands first)
import shutil  # noqa: E402
from pathlib import Path  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402

KEPT, CURRENT, HEALTHY, RELEASES = ".kept", "current", "healthy", "releases"


class NothingKept(Exception):
    """There is nothing to go back to, in words for the operator."""


def target_of(link: Path) -> str:
    """Name the release that a link leads to; empty if it leads nowhere."""
    return link.resolve().name if link.is_symlink() and link.exists() else ""


def switch(link: Path, release: Path) -> None:
    """Turn the link in one step: there is no moment without one."""
    fresh = link.with_name(link.name + ".new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(release)
    fresh.replace(link)


def put(source: Path, target: Path) -> bool:
    """Write a copy with its owner and mode, under another name first; says whether it differed."""
    if target.exists() and target.read_bytes() == source.read_bytes():
        return False
    fresh = target.with_name(target.name + ".new")
    fresh.touch(mode=0o600)  # before there is anything in it
    shutil.copyfile(source, fresh)
    shutil.copystat(source, fresh)
    os.utime(fresh)  # newer than the running service has seen
    fresh.replace(target)
    return True


def keep(base: Path, files: list[Path]) -> bool:
    """Copy the files into the current release's folder; says whether anything was new."""
    release = (base / CURRENT).resolve()
    folder = release / KEPT
    folder.mkdir(mode=0o700, exist_ok=True)
    changed = [put(path, folder / path.name) for path in files]
    if target_of(base / HEALTHY) == release.name:
        return any(changed)
    switch(base / HEALTHY, release)
    return True


def earlier(base: Path, wanted: str) -> str:
    """Name the release to go back to by hand.

    Raises:
        NothingKept: no other release has ever been healthy here, or not the one that was asked for.
    """
    marks = sorted((base / RELEASES).glob(f"*/{KEPT}"), key=lambda path: path.stat().st_mtime, reverse=True)
    names = [path.parent.name for path in marks if path.parent.name != target_of(base / CURRENT)]
    found = [name for name in names if not wanted or wanted in {name, name.rpartition("-")[0]}]
    if not found:
        asked = f"No release {wanted}" if wanted else "No other release"
        raise NothingKept(f"{asked} has been healthy on this host; there are: {', '.join(names) or 'none'}.")
    return found[0]


def go_back(base: Path, files: list[Path], release: str) -> list[str]:
    """Put files and link back to a release's own; returns the files that differed."""
    folder = base / RELEASES / release
    back = [str(path) for path in files if put(folder / KEPT / path.name, path)]
    if target_of(base / CURRENT) != release:
        switch(base / CURRENT, folder)
    return back


def differs(base: Path, files: list[Path], release: str) -> list[str]:
    """List the files that are not as the release had them."""
    kept = base / RELEASES / release / KEPT
    return [
        str(path)
        for path in files
        if not path.exists() or path.read_bytes() != (kept / path.name).read_bytes()
    ]


def main() -> None:
    """Run as Ansible's module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "required": True, "choices": ["kept", "returned", "previous"]},
            "base": {"type": "path", "required": True},
            "files": {"type": "list", "elements": "path", "required": True},
            "release": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    base, files = Path(module.params["base"]), [Path(name) for name in module.params["files"]]
    left = target_of(base / CURRENT)
    try:
        if module.params["state"] == "kept":
            changed = False if module.check_mode else keep(base, files)
            module.exit_json(changed=changed, release=left, left=left)
        if module.params["state"] == "previous":
            release = earlier(base, module.params["release"])
        else:
            release = target_of(base / HEALTHY)
        if not release:
            module.exit_json(changed=False, release=left, left=left, files=[], moved=False)
        look = differs if module.check_mode else go_back
        back = look(base, files, release)
        moved = bool(back) or release != left
        module.exit_json(changed=moved, moved=moved, release=release, left=left, files=back)
    except (NothingKept, OSError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
