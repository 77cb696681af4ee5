"""One table of the view: rows by key, each closed by a CRC32C over its key and itself.

LMDB has no checksums of its own; including the key also catches a row that stands in the wrong place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from struct import Struct
from typing import Generic, TypeVar

import lmdb
import msgspec
from crc32c import crc32c

from stemedb.errors import Corrupt

REBUILD = (
    "stop the service, remove the files of the view (STEMEDB_DB_DIR) and start: it is rebuilt from the log"
)

Buffer = bytes | memoryview
Row = TypeVar("Row")

_CRC = Struct(">I")
_encode = msgspec.msgpack.Encoder().encode
_pack_crc = _CRC.pack
_LIST_ROWS_FIRST, _LIST_ROWS_MAX = 16, 256


def _closed(key: bytes, row: object) -> bytes:
    """Return a row as it is stored, its checksum at the end."""
    payload = _encode(row)
    return payload + _pack_crc(crc32c(key + payload))


class Table(Generic[Row]):
    """Rows of one type. All methods work inside the transaction they are given."""

    def __init__(self, name: str, row: type[Row]) -> None:
        """Name the table and the type of its rows; `open` makes it usable."""
        self.name = name
        self._decoder = msgspec.msgpack.Decoder(row)
        self._db: lmdb._Database | None = None
        self._absent = False

    def open(self, env: lmdb.Environment) -> None:
        """Open the table, made where it is missing; one missing in a view that is only read has no rows."""
        try:
            self._db = env.open_db(self.name.encode())
        except (lmdb.NotFoundError, lmdb.ReadonlyError):
            self._absent = True

    def get(self, txn: lmdb.Transaction, key: bytes) -> Row | None:
        """Return the row at `key`, None where there is none; raises `Corrupt` when it is not as written."""
        value = None if self._absent else txn.get(key, None, self._db)
        return None if value is None else self._decode(key, value)

    def require(self, txn: lmdb.Transaction, key: bytes) -> Row:
        """Return the row that another row promises; raises `Corrupt` when it is missing or not as written."""
        value = txn.get(key, None, self._db)
        if value is None:
            raise self._corrupt(key, "is missing")
        return self._decode(key, value)

    def has(self, txn: lmdb.Transaction, key: bytes) -> bool:
        """Say whether there is a row at `key`, without reading it."""
        return txn.get(key, None, self._db) is not None

    def put(self, txn: lmdb.Transaction, key: bytes, row: object, *, overwrite: bool = True) -> bool:
        """Write a row (anything that encodes as one); say whether it was written."""
        # By position: LMDB's binding takes half as long then. Likewise below.
        return txn.put(key, _closed(key, row), True, overwrite, False, self._db)  # noqa: FBT003

    def put_all(self, txn: lmdb.Transaction, rows: Iterable[tuple[bytes, object]]) -> None:
        """Write many rows, in the order of their keys: one call, and neighbours share pages."""
        with txn.cursor(db=self._db) as cursor:
            cursor.putmulti(sorted((key, _closed(key, row)) for key, row in rows))

    def append(self, txn: lmdb.Transaction, rows: Iterable[tuple[bytes, object]]) -> None:
        """Write rows in key order behind the last key; LMDB fills its pages better so."""
        self.append_raw(txn, [(key, _closed(key, row)) for key, row in rows])

    def delete(self, txn: lmdb.Transaction, key: bytes) -> bool:
        """Remove a row; say whether there was one."""
        return txn.delete(key, db=self._db)

    def walk(
        self, txn: lmdb.Transaction, prefix: bytes = b"", after: bytes | None = None
    ) -> Iterator[tuple[bytes, Row]]:
        """Yield the rows whose keys begin with `prefix`, in key order, from behind `after` where given."""
        with txn.cursor(self._db) as cursor:
            start = prefix if after is None else after
            found = cursor.set_range(start) if start else cursor.first()
            if found and after is not None and cursor.key() == after:
                found = cursor.next()
            if not found:
                return
            for place, value in cursor.iternext():
                key = bytes(place)
                if not key.startswith(prefix):
                    return
                yield key, self._decode(key, value)

    def lists(self, txn: lmdb.Transaction[bytes], prefix: bytes) -> Iterator[list[Row]]:
        """Yield the rows whose keys begin with `prefix`, in key order, many at once.

        The way to read many: half of what `walk` takes for a row goes into handing it over. Wants a
        transaction without buffers.
        """
        with txn.cursor(self._db) as cursor:
            if not cursor.set_range(prefix):
                return
            items, wanted = cursor.iternext(), _LIST_ROWS_FIRST
            while found := list(islice(items, wanted)):
                # In key order, so that the last one tells of all.
                below = found[-1][0].startswith(prefix)
                if rows := self._decode_all(
                    found if below else [e for e in found if e[0].startswith(prefix)]
                ):
                    yield rows
                if not below:
                    return
                wanted = min(2 * wanted, _LIST_ROWS_MAX)

    def _decode_all(self, items: Sequence[tuple[bytes, bytes]]) -> list[Row]:
        decode = self._decoder.decode
        rows = []
        for key, value in items:
            payload = value[:-4]
            if value[-4:] != _pack_crc(crc32c(payload, crc32c(key))) or not payload:
                raise self._corrupt(key, "does not fit its checksum")
            rows.append(decode(payload))
        return rows

    def last(self, txn: lmdb.Transaction, prefix: bytes, up_to: bytes) -> tuple[bytes, Row] | None:
        """Return the last row whose key begins with `prefix` and is at most `up_to`."""
        with txn.cursor(db=self._db) as cursor:
            found = cursor.set_range(up_to)
            if not found:
                found = cursor.last()
            elif cursor.key() != up_to:
                found = cursor.prev()
            if not found:
                return None
            key = bytes(cursor.key())
            return (key, self._decode(key, cursor.value())) if key.startswith(prefix) else None

    def count(self, txn: lmdb.Transaction) -> int:
        """Return how many rows there are; LMDB knows it."""
        entries: int = txn.stat(self._db)["entries"]
        return entries

    def raw(self, txn: lmdb.Transaction) -> Iterator[tuple[Buffer, Buffer]]:
        """Yield every key and value as stored, for digests."""
        if not self._absent:
            yield from txn.cursor(db=self._db)

    def append_raw(self, txn: lmdb.Transaction, rows: Sequence[tuple[bytes, bytes]]) -> None:
        """Write rows as stored, in key order, behind the last key."""
        with txn.cursor(db=self._db) as cursor:
            cursor.putmulti(rows, append=True)

    def _decode(self, key: bytes, value: Buffer) -> Row:
        size = len(value) - _CRC.size
        payload = value[:size]
        if size <= 0 or crc32c(payload, crc32c(key)) != _CRC.unpack_from(value, size)[0]:
            raise self._corrupt(key, "does not fit its checksum")
        return self._decoder.decode(payload)

    def _corrupt(self, key: bytes, what: str) -> Corrupt:
        detail = f"view table {self.name!r}: the row at key {key.hex()} {what}"
        return Corrupt(detail, code="corrupt_view", ways_out=(REBUILD,))
