"""The roles' own modules, loaded from where Ansible finds them."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING

from tests.host.playbook import ROOT

if TYPE_CHECKING:
    from types import ModuleType


def load(role: str, name: str) -> ModuleType:
    """Import a module that lies in a role's library folder, where no package is."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "roles" / role / "library" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
