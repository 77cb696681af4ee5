"""An import-linter contract that reads like the table of rooms: `room: rooms it may import`.

Only direct imports are judged. import-linter's own `forbidden` contracts would need one list of
everything that is *not* allowed for each room, which nobody can compare with the design at a glance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from importlinter import Contract, ContractCheck, fields, output

if TYPE_CHECKING:
    from grimp import ImportGraph

EVERYTHING = "*"


def table(rows: list[str]) -> dict[str, set[str]]:
    """Turn `name: a b` lines into a mapping from the name to what stands right of it."""
    parts = (row.partition(":") for row in rows)
    return {name.strip(): set(rest.split()) for name, _, rest in parts}


def lines(field: object) -> list[str]:
    """Return a list field's value; import-linter puts it where the class has the field's description."""
    return cast("list[str]", field)


class MayUse(Contract):
    """Each room imports only what its line names; every room must have a line."""

    rooms = fields.ListField(subfield=fields.StringField())
    beside = fields.ListField(subfield=fields.StringField())
    entry = fields.ListField(subfield=fields.StringField())
    libraries = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002, FBT001  (the signature is import-linter's)
        """Judge every direct import between two rooms, and of the listed libraries."""
        package = str(self.session_options["root_packages"][0])
        rooms = table(lines(self.rooms))
        owners = table(lines(self.libraries))
        beside = table(lines(self.beside))
        single = beside | table(lines(self.entry))
        broken = [
            f"{name} has no line in the table"
            for child in sorted(graph.find_children(package))
            if (name := child.split(".")[1]) not in rooms | single
        ]

        def allowed(room: str, target: str) -> bool:
            if room == target or (room in rooms and (EVERYTHING in rooms[room] or target in beside)):
                return True
            return target in (rooms | single).get(room, ())

        for importer in sorted(m for m in graph.modules if m.startswith(f"{package}.")):
            room = importer.split(".")[1]
            for imported in sorted(graph.find_modules_directly_imported_by(importer)):
                if imported == package:  # the package's own module: its version
                    continue
                if imported.startswith(f"{package}."):
                    kept = allowed(room, imported.split(".")[1])
                else:
                    may = owners.get(imported)
                    kept = may is None or room in may or EVERYTHING in rooms.get(room, ())
                if not kept:
                    broken.append(f"{importer} may not import {imported}")
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print one line for each import that is not allowed."""
        for line in check.metadata["broken"]:
            output.print_error(line)
