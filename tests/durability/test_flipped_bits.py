"""One bit flipped in each region of a segment and of the view's file: named or harmless, never wrong data."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from mmap import PAGESIZE
from pathlib import Path
from struct import Struct
from typing import NamedTuple

import pytest

from stemedb.engine import open_engine
from stemedb.errors import Corrupt
from stemedb.log.frames import HEADER_BYTES
from stemedb.log.offline import FolderLog
from stemedb.log.verify import verify
from stemedb.store.pages import check_pages
from tests.builders import SIGNERS, checked, number, text
from tests.durability.answering import SUBJECTS
from tests.durability.ledger import ROOT, say
from tests.durability.small import small_settings
from tests.e2e.conftest import ServerFactory
from tests.e2e.signing import line

CORRUPT = 65
_LENGTH = Struct(">I")
# Offsets inside a frame, and where the record's own bytes begin.
REGIONS = {"length": 2, "crc": 5, "batch": 15, "hash": 20, "type": 48, "seq": 60, "body": 90}


def flip(path: Path, offset: int, bit: int = 4) -> None:
    """Flip one bit."""
    with path.open("rb+") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1 << bit]))


class Answerer:
    """Runs `answering` and asks it about folders."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.durability.answering"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, folder: Path, *, checked: bool = True) -> str:
        """Return what became of a process that opened the folder and answered all questions."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{folder} {int(checked)}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def close(self) -> None:
        """End it."""
        self._process.communicate()


class Original(NamedTuple):
    """A data folder at rest, what it answers, and who can ask."""

    folder: Path
    answers: str
    answerer: Answerer

    def copy(self, to: Path) -> Path:
        """Return a copy to be damaged."""
        if to.exists():
            shutil.rmtree(to)
        return shutil.copytree(self.folder, to)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Original]:
    """Return a folder with several segments, and a view with branches, overflowing values and free pages."""
    folder = tmp_path_factory.mktemp("flips") / "data"
    with closing(open_engine(small_settings(folder))) as engine:
        for start in range(0, 600, 40):
            engine.submit(
                [
                    checked(subject=SUBJECTS[at % len(SUBJECTS)], predicate=f"p{at % 3}", object=number(at))
                    for at in range(start, start + 40)
                ]
            )
        long = [checked(subject=SUBJECTS[at], object=text(f"{at}" + "long " * 2000)) for at in range(6)]
        engine.submit(long)
        engine.submit(
            [
                checked(SIGNERS[1], subject=SUBJECTS[at % 20], predicate=f"p{at % 3}", object=number(at))
                for at in range(50)
            ]
        )
    answerer = Answerer()
    found = answerer.ask(folder)
    assert found.startswith("answers "), found
    yield Original(folder, found, answerer)
    answerer.close()


# -- the log --


def frame_at(path: Path, index: int) -> tuple[int, int]:
    """Return where frame `index` of a segment begins (from the end if negative), and its payload's length."""
    data = path.read_bytes()
    offset, found = HEADER_BYTES, []
    while offset + 4 <= len(data) and (length := _LENGTH.unpack_from(data, offset)[0]):
        found.append((offset, length))
        offset += 48 + length + -length % 8
    return found[index]


def damage(wal_dir: Path, segment: int, frame: int, region: str) -> Path:
    """Flip a bit in a region of a frame of a segment; return the file."""
    path = sorted(wal_dir.glob("*.wal"))[segment]
    if region == "header":
        flip(path, 40)
        return path
    offset, length = frame_at(path, frame)
    if region == "padding":
        # The first frame from there on that has any.
        while length % 8 == 0:
            frame += 1
            offset, length = frame_at(path, frame)
        flip(path, offset + 48 + length)
    else:
        flip(path, offset + REGIONS[region])
    return path


@pytest.mark.parametrize("region", ["header", *REGIONS, "padding"])
def test_flip_in_the_last_segment_refuses_to_start_and_names_it(
    original: Original, tmp_path: Path, region: str
) -> None:
    folder = original.copy(tmp_path / "data")
    path = damage(folder / "wal", -1, 2, region)
    found = original.answerer.ask(folder)
    assert found.startswith("refused log_"), found
    assert path.name in found
    assert "restore" in found.lower()
    if region != "header":
        assert "byte " in found
        assert "record" in found


@pytest.mark.parametrize("region", ["length", "crc", "hash", "body"])
def test_flip_in_the_very_last_record_is_no_torn_tail(
    original: Original, tmp_path: Path, region: str
) -> None:
    # Taken alone it looks like a batch that a power cut tore; but the view holds it, so it had been synced.
    folder = original.copy(tmp_path / "data")
    damage(folder / "wal", -1, -1, region)
    assert original.answerer.ask(folder).startswith("refused log_")


@pytest.mark.parametrize("region", [*REGIONS, "padding"])
def test_flip_in_an_old_segment_is_found_when_it_is_read(
    original: Original, tmp_path: Path, region: str
) -> None:
    folder = original.copy(tmp_path / "data")
    path = damage(folder / "wal", 1, 3, region)
    report = verify(folder / "wal")
    assert [problem.file for problem in report.problems] == [path.name]
    with pytest.raises(Corrupt, match=path.name):
        list(FolderLog(folder / "wal").records())
    shutil.rmtree(folder / "db")
    found = original.answerer.ask(folder)
    assert found.startswith("refused log_damaged"), found
    assert path.name in found


def test_flip_in_an_old_header_refuses_to_start(original: Original, tmp_path: Path) -> None:
    folder = original.copy(tmp_path / "data")
    path = damage(folder / "wal", 1, 0, "header")
    assert path.name in original.answerer.ask(folder)


def test_flip_after_the_end_is_harmless(original: Original, tmp_path: Path) -> None:
    folder = original.copy(tmp_path / "data")
    path = max((folder / "wal").glob("*.wal"))
    flip(path, path.stat().st_size - 100)
    assert original.answerer.ask(folder) == original.answers
    assert verify(folder / "wal").whole


def test_service_that_meets_damage_ends_with_status_65(server: ServerFactory) -> None:
    service = server()
    # Each request is a batch, and a batch never spans two segments.
    for start in range(0, 160, 20):
        texts = [
            line(at, object={"type": "Text", "value": f"{at} " * 3000}) for at in range(start, start + 20)
        ]
        assert '"problem"' not in service.bulk(texts).body.decode()
    paths = sorted((service.folder / "wal").glob("*.wal"))
    assert len(paths) > 1
    flip(paths[0], frame_at(paths[0], 5)[0] + REGIONS["body"])
    assert service.get("/v1/log/proof").status == 500
    assert service.wait() == CORRUPT
    assert paths[0].name in service.log.splitlines()[-1]
    last = paths[-1]
    flip(last, frame_at(last, 0)[0] + REGIONS["body"])
    service.start(wait=False)
    assert service.wait() == CORRUPT
    said = service.log.splitlines()[-1]
    assert said.startswith("stemedb-api: ")
    assert last.name in said
    assert "restore" in said


# -- the view --

META, BRANCH, LEAF, OVERFLOW = 8, 1, 2, 4
_PAGE = Struct("=QHHHH")


def pages_of(path: Path, kind: int) -> list[int]:
    """Return the offsets of the view's pages of a kind."""
    data = path.read_bytes()
    starts = range(0, len(data), PAGESIZE)
    return [
        at for at in starts if (head := _PAGE.unpack_from(data, at))[2] == kind and head[0] == at // PAGESIZE
    ]


def places(path: Path) -> Iterator[tuple[str, int]]:
    """Yield a place in each region of the file: fields of the page heads, keys, values and pointers."""
    heads = {"number": 0, "flags": 10, "lower": 12, "upper": 14}
    for page in pages_of(path, META):
        fields = {
            "magic": 16,
            "version": 20,
            "map_size": 33,
            "free_root": 80,
            "main_entries": 120,
            "main_root": 128,
        }
        for name, offset in ({"number": 0, "flags": 10} | fields | {"last_page": 136, "txn": 144}).items():
            yield f"meta.{name}", page + offset
    data = path.read_bytes()
    for kind, label in ((BRANCH, "branch"), (LEAF, "leaf")):
        for page in pages_of(path, kind)[-3:]:
            for name, offset in heads.items():
                yield f"{label}.{name}", page + offset
            yield f"{label}.pointer", page + 18
            _, _, _, lower, _ = _PAGE.unpack_from(data, page)
            if lower <= 18:
                continue
            (node,) = Struct("=H").unpack_from(data, page + 18)
            for name, offset in {
                "size": 0,
                "child": 2,
                "node_flags": 4,
                "key_size": 6,
                "key": 12,
                "value": 48,
            }.items():
                yield f"{label}.{name}", page + node + offset
    for page in pages_of(path, OVERFLOW)[-2:]:
        for name, offset in {
            "number": 0,
            "flags": 10,
            "pages": 12,
            "data": 100,
            "second_page": PAGESIZE + 9,
        }.items():
            yield f"overflow.{name}", page + offset


def test_flip_in_each_region_of_the_view_is_named_or_harmless(original: Original, tmp_path: Path) -> None:
    folder = original.copy(tmp_path / "data")
    path = folder / "db" / "data.mdb"
    whole = path.read_bytes()
    became: Counter[str] = Counter()
    for name, offset in places(path):
        path.write_bytes(whole)
        flip(path, offset)
        found = original.answerer.ask(folder)
        became[found.split()[0]] += 1
        assert found == original.answers or found.startswith("refused "), (name, offset, found)
        if found.startswith("refused "):
            assert "STEMEDB_DB_DIR" in found, (name, found)
    say(f"view, one bit in each region: {dict(became)}")
    # The way out that every refusal names.
    for file in (folder / "db").glob("*.mdb"):
        file.unlink()
    assert original.answerer.ask(folder) == original.answers


def test_flip_that_lmdb_does_not_survive_is_named_by_the_next_start(
    original: Original, tmp_path: Path
) -> None:
    chance = random.Random(7)
    became: Counter[str] = Counter()
    whole = (original.folder / "db" / "data.mdb").read_bytes()
    used = [
        at
        for kind in (META, BRANCH, LEAF, OVERFLOW)
        for at in pages_of(original.folder / "db" / "data.mdb", kind)
    ]
    folder = original.copy(tmp_path / "data")
    path = folder / "db" / "data.mdb"
    spots = [chance.choice(used) + chance.randrange(PAGESIZE) for _ in range(20)]
    heads = [chance.choice(used) + chance.randrange(8, 24) for _ in range(20)]
    for offset in [*spots, *heads, *(offset for _, offset in places(path))]:
        path.write_bytes(whole)
        flip(path, offset, chance.randrange(8))
        # A view too large to be checked at each start: LMDB meets the damage itself.
        found = original.answerer.ask(folder, checked=False)
        became[found.split()[0]] += 1
        if found.startswith("died "):
            # The crash left a note, so that the next start looks at every page before LMDB does.
            again = original.answerer.ask(folder, checked=False)
            assert again.startswith("refused corrupt_view"), (offset, found, again)
        elif found != original.answers:
            # Wrong without being noticed: doctor notices.
            became["unnoticed"] += found.startswith("answers ")
            with pytest.raises(Corrupt):
                check_pages(folder / "db")
        for note in (folder / "db").glob("crash*"):
            note.unlink()
    say(f"view, one bit at {became.total()} places, unchecked at the start: {dict(became)}")
