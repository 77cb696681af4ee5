"""Stored bytes that are not what was written: each kind is refused by its own name, never answered."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from stemedb.errors import Corrupt
from stemedb.log.frames import HEADER_BYTES, decode_header, encode_header, redact
from stemedb.log.offline import FolderLog
from stemedb.log.verify import verify
from tests.log.helpers import check_all, copy_of, fill, flip, make_log, open_small, segment_files

if TYPE_CHECKING:
    from pathlib import Path

LAST_SEQ = 301  # of the log that each test gets
FRAME_REGIONS = {
    "length": 2,
    "length by one": 3,
    "checksum": 5,
    "batch": 15,
    "hash": 20,
    "type": 48,
    "flags": 49,
    "zeros": 52,
    "seq": 63,
    "recorded_at": 70,
    "body": 75,
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_log(tmp_path_factory.mktemp("whole"), batches=100)


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A log of several segments, at rest."""
    return copy_of(whole, tmp_path / "log")


def refused(folder: Path, known_seq: int = LAST_SEQ) -> Corrupt:
    with pytest.raises(Corrupt) as caught:
        open_small(folder, known_seq=known_seq)
    assert caught.value.ways_out
    assert str(folder) in caught.value.detail
    return caught.value


@pytest.mark.parametrize("region", FRAME_REGIONS)
def test_open_refuses_a_flipped_bit_in_the_last_segment(folder: Path, region: str) -> None:
    path = segment_files(folder)[-1]
    flip(path, HEADER_BYTES + FRAME_REGIONS[region])
    first_seq = decode_header(path.read_bytes()[:HEADER_BYTES]).first_seq
    error = refused(folder, known_seq=0)  # the batches after it are proof enough
    assert error.reason == "log_damaged"
    assert f"byte {HEADER_BYTES}:" in error.detail
    assert f"lost: {first_seq} to {LAST_SEQ}" in error.detail


@pytest.mark.parametrize("region", FRAME_REGIONS)
def test_read_refuses_a_flipped_bit_in_an_older_segment(folder: Path, region: str) -> None:
    path = segment_files(folder)[1]
    header = decode_header(path.read_bytes()[:HEADER_BYTES])
    flip(path, HEADER_BYTES + FRAME_REGIONS[region])
    with closing(open_small(folder, known_seq=LAST_SEQ)) as log:
        assert len(log.read(1, header.first_seq - 1)) == header.first_seq - 1
        with pytest.raises(Corrupt, match=f"record {header.first_seq} had been synced") as caught:
            log.read(1, 1000)
        assert caught.value.reason == "log_damaged"
        with pytest.raises(Corrupt):
            log.hashes(1, LAST_SEQ)
        assert log.read(LAST_SEQ, 1)[0].seq == LAST_SEQ


def test_read_refuses_a_bit_that_flips_under_a_running_log(folder: Path) -> None:
    with closing(open_small(folder, known_seq=LAST_SEQ)) as log:
        check_all(log, LAST_SEQ)
        flip(segment_files(folder)[-1], HEADER_BYTES + 75)
        with pytest.raises(Corrupt):
            check_all(log, LAST_SEQ)


@pytest.mark.parametrize("offset", [0, 11, 20, 40, 60, 3000, HEADER_BYTES - 1])
@pytest.mark.parametrize("which", [0, 1, -1])
def test_open_refuses_a_flipped_bit_in_a_header(folder: Path, which: int, offset: int) -> None:
    flip(segment_files(folder)[which], offset)
    assert refused(folder).reason == "log_header"


@pytest.mark.parametrize("which", [0, 1])
def test_open_refuses_a_header_cut_short(folder: Path, which: int) -> None:
    with segment_files(folder)[which].open("rb+") as file:
        file.truncate(HEADER_BYTES - 1)
    error = refused(folder)
    assert error.reason == "log_header"
    assert "cut short" in error.detail


def test_open_refuses_a_last_file_cut_away_that_had_records(folder: Path) -> None:
    path = segment_files(folder)[-1]
    with path.open("rb+") as file:
        file.truncate(10)
    assert refused(folder).reason == "log_behind"
    assert path.exists()


def test_open_refuses_a_missing_segment(folder: Path) -> None:
    missing = segment_files(folder)[1]
    missing.unlink()
    error = refused(folder)
    assert error.reason == "log_segment_missing"
    assert str(missing) in error.detail


def test_open_refuses_a_missing_first_segment(folder: Path) -> None:
    segment_files(folder)[0].unlink()
    assert refused(folder).reason == "log_segment_missing"
    for path in segment_files(folder):
        path.unlink()
    error = refused(folder, known_seq=0)
    assert error.reason == "log_segment_missing"
    assert "0000000000000000.wal" in error.detail


def test_open_refuses_a_segment_of_another_log(folder: Path, tmp_path: Path) -> None:
    other = make_log(tmp_path / "other", batches=100)
    target = segment_files(folder)[1]
    target.write_bytes(segment_files(other)[1].read_bytes())
    assert refused(folder).reason == "log_segment_foreign"


def test_open_refuses_a_renamed_segment(folder: Path) -> None:
    paths = segment_files(folder)
    paths[-1].rename(paths[-1].with_name(f"{int(paths[-1].stem, 16) + 8:016x}.wal"))
    assert refused(folder).reason in ("log_header", "log_segment_missing")


def test_open_refuses_a_newer_segment(folder: Path) -> None:
    path = segment_files(folder)[-1]
    block = bytearray(encode_header(decode_header(path.read_bytes()[:HEADER_BYTES])))
    block[11] = 2
    block[-4:] = checksum(bytes(block[:-4]))
    with path.open("rb+") as file:
        file.write(block)
    assert refused(folder).reason == "log_format_newer"


def checksum(data: bytes) -> bytes:
    """CRC32C, bit by bit: the polynomial as anybody may look it up."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return (crc ^ 0xFFFFFFFF).to_bytes(4, "big")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "log_meta"),
        ('{"log_id": "00"}', "log_meta"),
        ('{"log_id": "zz", "format": 1}', "log_meta"),
        ('{"log_id": "00", "format": 1}', "log_meta"),
        ('{"log_id": "%s", "format": 2}', "log_format_newer"),
        ('{"log_id": "%s", "format": 1}', "log_segment_foreign"),
    ],
)
def test_open_refuses_a_wrong_log_json(folder: Path, content: str, reason: str) -> None:
    (folder / "log.json").write_text(content.replace("%s", "00" * 16))
    assert refused(folder).reason == reason


def test_open_refuses_segments_without_log_json(folder: Path) -> None:
    meta = (folder / "log.json").read_bytes()
    (folder / "log.json").unlink()
    error = refused(folder)
    assert error.reason == "log_meta"
    log_id = json.loads(meta)["log_id"]
    assert any(log_id in way for way in error.ways_out), "the segments know what stood in it"


def test_read_accepts_a_redacted_frame_and_keeps_the_chain(folder: Path) -> None:
    """Erasure overwrites a body in place; hash, chain and proofs stay."""
    before = FolderLog(folder)
    hashes = before.hashes(1, LAST_SEQ)
    path = segment_files(folder)[0]
    content = path.read_bytes()
    begin = content.index(b"body of 7;") - 72
    end = content.index(b"body of 8;") - 72
    path.write_bytes(content[:begin] + redact(content[begin:end]) + content[end:])
    with closing(open_small(folder, known_seq=LAST_SEQ)) as log:
        assert log.hashes(1, LAST_SEQ) == hashes
        assert log.head() == before.head
        (record,) = log.read(7, 1)
        assert record.redacted
        assert record.body == b""
        assert record.seq == 7
        fill(log, 1)
    assert b"body of 7;" not in path.read_bytes()
    report = verify(folder)
    assert report.whole
    assert report.redacted == 1
    flip(path, begin + 80)
    assert not verify(folder).whole


def test_read_refuses_a_redaction_without_the_flag(folder: Path) -> None:
    path = segment_files(folder)[0]
    content = bytearray(path.read_bytes())
    begin = content.index(b"body of 7;") - 72
    end = content.index(b"body of 8;") - 72
    frame = bytearray(redact(bytes(content[begin:end])))
    frame[49] = 0
    frame[4:8] = checksum(bytes(frame[8:]))
    content[begin:end] = frame
    path.write_bytes(content)
    with pytest.raises(Corrupt, match="hash does not match"):
        list(FolderLog(folder).records())
