"""Checking the view's file page by page, without asking LMDB.

LMDB trusts its pages: they carry no checksum, and a flipped bit in one can end the process inside the
library, or hide a key from every search. This reads the file itself, with every bound checked: the trees
(order, counts, each page used once), the list of free pages, and the checksum of every row. It needs no
lock and changes nothing.
"""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from struct import Struct
from typing import Final, NamedTuple, NoReturn

from crc32c import crc32c

from stemedb.errors import Corrupt
from stemedb.store.table import REBUILD

DATA_NAME: Final = "data.mdb"

# The file format of LMDB 0.9 (lmdb.h and mdb.c): native byte order, 64-bit pages numbers.
_PAGE: Final = Struct("=QHHHH")  # number, pad, flags, lower, upper
_OVERFLOW: Final = Struct("=QHHI")  # number, pad, flags, pages
_META: Final = Struct("=IIQQ")  # magic, version, address, map size
_DB: Final = Struct("=IHHQQQQQ")  # pad, flags, depth, branch, leaf, overflow pages, entries, root
_TAIL: Final = Struct("=QQ")  # last page, transaction
_NODE: Final = Struct("=HHHH")  # low and high half of size or child, flags, key size
_U64: Final = Struct("=Q")
_CRC: Final = Struct(">I")  # ours, at the end of every row
_MAGIC: Final = 0xBEEFC0DE
_VERSION: Final = 1
_NO_PAGE: Final = 2**64 - 1
_METAS: Final = 2
_BRANCH, _LEAF, _OVER, _IS_META = 0x01, 0x02, 0x04, 0x08
_BIG_DATA, _SUB_TREE = 0x01, 0x02
_DEPTH_MAX: Final = 32
_PROGRESS_ROWS: Final = 200_000


class Tree(NamedTuple):
    """One tree of the file, as the page above it says."""

    name: str
    depth: int
    branch_pages: int
    leaf_pages: int
    overflow_pages: int
    entries: int
    root: int


class Meta(NamedTuple):
    """One of the two pages by which LMDB finds everything else."""

    txn_id: int
    last_page: int
    free: Tree
    main: Tree


class Checked(NamedTuple):
    """What was found whole: pages in use, rows in them, and at which transaction."""

    pages: int
    rows: int
    txn_id: int


def check_pages(
    folder: Path, *, txn_id: int | None = None, progress: Callable[[str], None] = lambda _text: None
) -> Checked:
    """Check the view in `folder` as of its last transaction, or as of `txn_id`, one that a reader holds.

    About ten seconds for a million claims; `progress` is told now and then how far it is.

    Raises:
        Corrupt: a page or a row is not what was written; the detail names the page.
        FileNotFoundError: there is no view.
    """
    path = folder / DATA_NAME
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size < _METAS * mmap.PAGESIZE:
            _refuse(path, 0, f"the file has {size} bytes")
        with closing(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)) as data:
            return _Check(path, data, size, progress).run(txn_id)


def _refuse(path: Path, page: int, detail: str) -> NoReturn:
    raise Corrupt(f"{path}, page {page}: {detail}", code="corrupt_view", ways_out=(REBUILD,))


class _Check:
    """One walk over the file."""

    def __init__(self, path: Path, data: mmap.mmap, size: int, progress: Callable[[str], None]) -> None:
        self._progress = progress
        self._path = path
        self._data = data
        self._page_bytes = mmap.PAGESIZE
        self._pages = size // self._page_bytes
        self._used = bytearray(self._pages)
        self._counts: dict[int, int] = {}
        self._rows = 0
        self._last_leaf = 0

    def run(self, txn_id: int | None) -> Checked:
        metas = [self._meta(page) for page in range(_METAS)]
        meta = max(metas) if txn_id is None else next((each for each in metas if each.txn_id == txn_id), None)
        if meta is None:
            _refuse(self._path, 0, f"transaction {txn_id} is not there any more")
        if not _METAS <= meta.last_page + 1 <= self._pages:
            _refuse(self._path, 0, f"{meta.last_page + 1} pages are named, the file has {self._pages}")
        self._pages = meta.last_page + 1
        for _, value in self._entries(meta.free):
            self._take_free(value)
        for name, value in self._entries(meta.main):
            if len(value) != _DB.size:
                _refuse(self._path, meta.main.root, "an entry of the list of tables is none")
            self._check_table(_tree(name.decode(errors="replace"), value))
        return Checked(sum(self._used) + _METAS, self._rows, meta.txn_id)

    def _meta(self, page: int) -> Meta:
        start = page * self._page_bytes
        number, _, flags, _, _ = _PAGE.unpack_from(self._data, start)
        offset = start + _PAGE.size
        magic, version, _, _ = _META.unpack_from(self._data, offset)
        if (number, flags, magic, version) != (page, _IS_META, _MAGIC, _VERSION):
            _refuse(self._path, page, "it is not one of the two that open a view")
        offset += _META.size
        free = self._data[offset : offset + _DB.size]
        main = self._data[offset + _DB.size : offset + 2 * _DB.size]
        (page_bytes,) = Struct("=I").unpack_from(free)
        if page_bytes != self._page_bytes:
            _refuse(self._path, page, f"pages of {page_bytes} bytes, this machine has {self._page_bytes}")
        last_page, txn_id = _TAIL.unpack_from(self._data, offset + 2 * _DB.size)
        return Meta(txn_id, last_page, _tree("", free), _tree("main", main))

    def _check_table(self, tree: Tree) -> None:
        for key, value in self._entries(tree):
            row, crc = value[: -_CRC.size], value[-_CRC.size :]
            if len(crc) != _CRC.size or crc32c(row, crc32c(key)) != _CRC.unpack(crc)[0]:
                detail = f"the row of table {tree.name!r} at key {key.hex()} does not fit its checksum"
                _refuse(self._path, self._last_leaf, detail)
            self._rows += 1
            if self._rows % _PROGRESS_ROWS == 0:
                self._progress(f"checking the view: {self._rows} rows")

    def _entries(self, tree: Tree) -> Iterator[tuple[bytes, bytes]]:
        """Yield what a tree holds, in order; then compare its counts."""
        self._counts = counts = dict.fromkeys((_BRANCH, _LEAF, _OVER), 0)
        entries = 0
        if tree.root != _NO_PAGE:
            for entry in self._subtree(tree, tree.root, 1, b"", None):
                entries += 1
                yield entry
                self._counts = counts
        said = (tree.branch_pages, tree.leaf_pages, tree.overflow_pages, tree.entries)
        found = (counts[_BRANCH], counts[_LEAF], counts[_OVER], entries)
        if said != found:
            detail = f"table {tree.name!r} has {found} pages and rows, {said} are named"
            _refuse(self._path, tree.root, detail)

    def _subtree(
        self, tree: Tree, page: int, level: int, low: bytes, high: bytes | None
    ) -> Iterator[tuple[bytes, bytes]]:
        """Yield what stands below `page`, all of whose keys must be from `low` on and before `high`."""
        wanted = _LEAF if level == tree.depth else _BRANCH
        nodes = self._nodes(page, wanted, level)
        # The first key of a branch is never looked at: it stands for everything before the second.
        bounds = [self._ordered(tree, page, key) for key, _ in nodes]
        if wanted == _BRANCH:
            bounds[:1] = [low]
        for at, (key, value) in enumerate(nodes):
            following = bounds[at + 1] if at + 1 < len(nodes) else high
            if bounds[at] < low or (following is not None and bounds[at] >= following):
                _refuse(self._path, page, f"key {key.hex()} of table {tree.name!r} is out of order")
            if wanted == _LEAF:
                yield key, value
            else:
                child = int.from_bytes(value, "little")
                yield from self._subtree(tree, child, level + 1, bounds[at], following)

    def _ordered(self, tree: Tree, page: int, key: bytes) -> bytes:
        """Return bytes that sort as the key does: those of the free list are numbers of this machine."""
        if tree.name:
            return key
        if len(key) > _U64.size:
            _refuse(self._path, page, f"a key of {len(key)} bytes in the list of free pages")
        return int.from_bytes(key, sys.byteorder).to_bytes(_U64.size, "big")

    def _nodes(self, page: int, wanted: int, level: int) -> list[tuple[bytes, bytes]]:
        """Return a page's keys and values; of a branch, the child's number as six bytes."""
        self._use(page, 1)
        start, size = page * self._page_bytes, self._page_bytes
        data = self._data[start : start + size]
        number, _, flags, lower, upper = _PAGE.unpack_from(data)
        if number != page or flags != wanted or level > _DEPTH_MAX:
            _refuse(self._path, page, f"it says page {number} of kind {flags:#x}, wanted is kind {wanted:#x}")
        if not _PAGE.size <= lower <= upper <= size or lower % 2:
            _refuse(self._path, page, f"its free room lies from {lower} to {upper}")
        self._counts[wanted] += 1
        self._last_leaf = page
        count = (lower - _PAGE.size) // 2
        nodes = []
        for offset in Struct(f"={count}H").unpack_from(data, _PAGE.size):
            if not upper <= offset <= size - _NODE.size:
                _refuse(self._path, page, f"an entry at byte {offset}")
            low, high, node_flags, key_size = _NODE.unpack_from(data, offset)
            key_end = offset + _NODE.size + key_size
            if key_end > size:
                _refuse(self._path, page, f"a key of {key_size} bytes at byte {offset}")
            key = data[offset + _NODE.size : key_end]
            if wanted == _BRANCH:
                nodes.append((key, data[offset : offset + 6]))
            else:
                nodes.append((key, self._value(page, data, key_end, low | high << 16, node_flags)))
        return nodes

    def _value(self, page: int, data: bytes, at: int, length: int, flags: int) -> bytes:
        """Return a leaf's value, from the page itself or from those it overflows to."""
        if flags & ~(_BIG_DATA | _SUB_TREE):
            _refuse(self._path, page, f"an entry of kind {flags:#x}")
        if not flags & _BIG_DATA:
            if at + length > len(data):
                _refuse(self._path, page, f"a value of {length} bytes at byte {at}")
            return data[at : at + length]
        if at + _U64.size > len(data):
            _refuse(self._path, page, f"a value at byte {at}")
        (first,) = _U64.unpack_from(data, at)
        count = -(-(_PAGE.size + length) // self._page_bytes)
        self._use(first, count)
        start = first * self._page_bytes
        number, _, kind, pages = _OVERFLOW.unpack_from(self._data, start)
        if (number, kind, pages) != (first, _OVER, count):
            _refuse(self._path, first, f"{pages} pages of kind {kind:#x}, wanted are {count} of {_OVER:#x}")
        self._counts[_OVER] += count
        return self._data[start + _PAGE.size : start + _PAGE.size + length]

    def _take_free(self, value: bytes) -> None:
        numbers = [number for (number,) in _U64.iter_unpack(value[: len(value) // 8 * 8])]
        if not numbers or numbers[0] != len(numbers) - 1:
            _refuse(self._path, 0, "a list of free pages is not as long as it says")
        for number in numbers[1:]:
            self._use(number, 1)

    def _use(self, first: int, count: int) -> None:
        """Note that pages are used, each by one owner only."""
        if first < _METAS or first + count > self._pages:
            _refuse(self._path, first, f"{count} pages from here are named, the view has {self._pages}")
        for page in range(first, first + count):
            if self._used[page]:
                _refuse(self._path, page, "it is used twice")
            self._used[page] = 1


def _tree(name: str, packed: bytes) -> Tree:
    _, _, depth, branch, leaf, overflow, entries, root = _DB.unpack(packed)
    return Tree(name, depth, branch, leaf, overflow, entries, root)
