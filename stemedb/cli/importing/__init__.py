"""Files of claims: read row by row, mapped to claims, signed per source, sent in batches.

Promises: bounded memory whatever the file's size; the same file gives the same ids; a line that cannot be
read is reported with its number and stops nothing.
"""

from stemedb.cli.importing.mapping import FIELDS, Mapping
from stemedb.cli.importing.rows import Layout, Row, RowFile
from stemedb.cli.importing.run import Import, Signers, Summary

__all__ = ["FIELDS", "Import", "Layout", "Mapping", "Row", "RowFile", "Signers", "Summary"]
