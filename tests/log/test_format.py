"""The bytes on disk: documented, and readable for ever."""

from __future__ import annotations

import re
import shutil
from contextlib import closing
from pathlib import Path

from stemedb.log import Head, chain_start, decode_genesis, verify
from stemedb.log import frames as code
from stemedb.log.frames import Header, decode_frames, decode_header, encode_batch, encode_header
from stemedb.log.offline import FolderLog
from stemedb.log.protocol import Draft, Record
from tests.fixtures.make_log_v1 import REDACTED_SEQ, TIME_US
from tests.log.helpers import SERVER_KEY, body_of, fill, open_small

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "internals" / "log-format.md").read_text()
LOG_V1 = ROOT / "tests" / "fixtures" / "log-v1"
LOG_V1_ID = "aa34526c24893612617497756640bfec"
LOG_V1_CHAIN = "b39179868900d4f258568289f11dcaabc9d45f4c33ab5a7750e89ed5c155dd4c"


def example(kind: str) -> bytes:
    """Give the bytes of a block of the page."""
    (block,) = re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)
    return bytes.fromhex(block)


def test_the_page_shows_a_real_frame() -> None:
    (frame,), _ = encode_batch([Draft(2, b"hello")], 2, 1_780_000_000_000_000, bytes(32))
    assert frame == example("hex")
    (decoded,), why = decode_frames(example("hex"), 0, 2, 2)
    assert why == ""
    assert decoded.record == Record(2, 1_780_000_000_000_000, 2, b"hello")
    assert chain_start(bytes(range(16))) == example("chain")


def test_the_page_shows_the_header() -> None:
    header = Header(bytes(range(16)), 5, 0x1234, bytes(range(32)), 7)
    block = encode_header(header)
    rows = re.findall(r"^\| (\d+) \| (\d+) \| (.+) \|$", PAGE.split("## A frame")[0], re.MULTILINE)
    fields = [block[int(at) : int(at) + int(size)] for at, size, _ in rows]
    assert b"".join(fields) == block
    assert fields == [
        b"STEMEWAL",
        b"\0\0\0\1",
        bytes(4),
        header.log_id,
        b"\0\0\0\0\0\0\0\5",
        b"\0\0\0\0\0\0\x12\x34",
        header.chain,
        b"\0\0\0\0\0\0\0\7",
        bytes(4004),
        block[-4:],
    ]
    assert decode_header(block) == header


def test_the_page_names_every_code() -> None:
    documented = set(re.findall(r"^\| `(log_\w+)` \|", PAGE, re.MULTILINE))
    folder = Path(code.__file__).parent
    used = {name for path in folder.glob("*.py") for name in re.findall(r'"(log_[a-z_]+)"', path.read_text())}
    assert used - {"log_id"} == documented


def check_v1(records: list[Record]) -> None:
    assert [record.seq for record in records] == list(range(1, 43))
    assert [record.recorded_at for record in records] == [TIME_US + i for i in range(42)]
    genesis = decode_genesis(records[0].body)
    assert genesis.log_id.hex() == LOG_V1_ID
    assert genesis.server_key == SERVER_KEY
    for record in records[1:-1]:
        assert record.redacted == (record.seq == REDACTED_SEQ)
        assert record.body == (b"" if record.redacted else body_of(record.seq))
        assert record.type == 2 + record.seq % 5
    assert records[-1].type == 255
    assert records[-1].body == b""


def test_a_folder_of_version_1_is_read() -> None:
    folder = FolderLog(LOG_V1)
    assert folder.head == Head(42, bytes.fromhex(LOG_V1_CHAIN), TIME_US + 41)
    check_v1(list(folder.records()))
    report = verify.verify(LOG_V1)
    assert report.whole
    assert (report.records, report.redacted, report.chain) == (42, 1, LOG_V1_CHAIN)


def test_a_folder_of_version_1_is_opened_and_goes_on(tmp_path: Path) -> None:
    shutil.copytree(LOG_V1, tmp_path / "log")
    with closing(open_small(tmp_path / "log", known_seq=42)) as log:
        assert log.head().chain.hex() == LOG_V1_CHAIN
        fill(log, 30)
        check_v1(log.read(1, 42))
    assert verify.verify(tmp_path / "log").whole
