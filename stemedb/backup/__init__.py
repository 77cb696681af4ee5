"""Backups: the archive of the log, snapshots of the view, restoring, verifying, drilling.

Promises: what is called archived is on stable storage in the archive; a backup has been read again before it
gets its name; a restore gives all that was asked for or says what it could not reach; nobody's word is taken
for it but that of keys given by the caller. May use: `log`, `store`, `model`. May not: hold up the log or its
writer, or write into the data folders of a service.
"""

from stemedb.backup.archive import Archiver
from stemedb.backup.following import Report, follow

__all__ = ["Archiver", "Report", "follow"]
