"""Opening after a stop: what was synced is there, what was torn is cut, what is damaged is refused."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemedb.errors import Corrupt
from stemedb.log.frames import encode_batch
from stemedb.log.verify import verify
from tests.log.helpers import (
    SMALL_SEGMENT_BYTES,
    check_all,
    drafts,
    fill,
    make_log,
    open_small,
    segment_files,
)

BLOCK_BYTES = 512


def torn(before: bytes, after: bytes, synced_bytes: int, fates: list[int], garbage: bytes) -> bytes:
    """Mix two states of a file by blocks, as a power cut does.

    A block that holds synced bytes is the same in both states up to there, so it keeps them whichever of the
    two reached the disk: damage begins at `synced_bytes`.
    """
    mixed = bytearray(before)
    last = len(after.rstrip(b"\0"))
    for i, start in enumerate(range(synced_bytes // BLOCK_BYTES * BLOCK_BYTES, last, BLOCK_BYTES)):
        begin, end = max(start, synced_bytes), start + BLOCK_BYTES
        fate = fates[i % len(fates)]
        if fate == 1:
            mixed[begin:end] = after[begin:end]
        elif fate == 2:
            mixed[begin:end] = bytes(end - begin)
        elif fate == 3:
            mixed[begin:end] = (garbage * BLOCK_BYTES)[: end - begin]
    return bytes(mixed)


@given(
    batches=st.integers(0, 4),
    size=st.integers(1, 25),
    fates=st.lists(st.integers(0, 3), min_size=1, max_size=12),
    garbage=st.binary(min_size=1, max_size=40),
)
@settings(max_examples=150)
def test_open_cuts_a_torn_batch_whatever_order_its_blocks_came_in(
    batches: int, size: int, fates: list[int], garbage: bytes
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_log(folder, batches)
        (path,) = segment_files(folder)
        before = path.read_bytes()
        with closing(open_small(folder)) as log:
            synced = log.head()
            synced_bytes = log.recovery.end_offset
            fill(log, 1, size)
        path.write_bytes(torn(before, path.read_bytes(), synced_bytes, fates, garbage))

        with closing(open_small(folder, known_seq=synced.seq)) as log:
            check_all(log, synced.seq)
            assert log.head().seq <= synced.seq + size
            fill(log, 2, 2)
        with closing(open_small(folder)) as log:
            check_all(log, synced.seq + 4)
            assert log.recovery.cut_bytes == 0
        assert verify(folder).whole


def test_open_tells_what_it_cut(tmp_path: Path) -> None:
    make_log(tmp_path, batches=2, size=4)
    (path,) = segment_files(tmp_path)
    content = bytearray(path.read_bytes())
    used = len(content.rstrip(b"\0"))
    content[used - 300] ^= 1
    path.write_bytes(content)
    with closing(open_small(tmp_path)) as log:
        recovery = log.recovery
        assert recovery.cut_at_seq == log.head().seq + 1
        assert recovery.cut_bytes >= 300
        assert recovery.cut_frames >= 1
        assert recovery.why in ("checksum does not match", "hash does not match")
        check_all(log, 5)


def test_open_writes_nothing_new_to_a_clean_log(tmp_path: Path) -> None:
    make_log(tmp_path, batches=40)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with closing(open_small(tmp_path, known_seq=121)) as log:
        assert log.recovery.cut_bytes == 0
        assert log.recovery.removed == ()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_open_refuses_a_torn_end_that_the_view_holds(tmp_path: Path) -> None:
    make_log(tmp_path, batches=3)
    (path,) = segment_files(tmp_path)
    content = path.read_bytes()
    used = len(content.rstrip(b"\0"))
    path.write_bytes(content[: used - 8] + bytes(len(content) - used + 8))
    with pytest.raises(Corrupt, match="record 10 had been synced") as caught:
        open_small(tmp_path, known_seq=10)
    assert caught.value.reason == "log_damaged"
    assert path.name in caught.value.detail
    assert any("--truncate-at 10" in way for way in caught.value.ways_out)
    with closing(open_small(tmp_path, known_seq=9)) as log:
        assert log.head().seq == 9


def test_open_refuses_a_log_that_ends_before_the_view(tmp_path: Path) -> None:
    make_log(tmp_path, batches=3)
    with pytest.raises(Corrupt) as caught:
        open_small(tmp_path, known_seq=11)
    assert caught.value.reason == "log_behind"
    with pytest.raises(Corrupt) as caught:
        open_small(tmp_path / "emptied", known_seq=1)
    assert caught.value.reason == "log_behind"
    assert not segment_files(tmp_path / "emptied")


def test_open_refuses_damage_before_a_later_batch(tmp_path: Path) -> None:
    make_log(tmp_path, batches=3)
    (path,) = segment_files(tmp_path)
    content = bytearray(path.read_bytes())
    at = content.index(b"body of 6;")
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(Corrupt, match=r"record 6 .*lost: 6 to 10") as caught:
        open_small(tmp_path)
    assert caught.value.reason == "log_damaged"


def test_open_goes_on_when_a_frame_ends_in_zeros(tmp_path: Path) -> None:
    with closing(open_small(tmp_path)) as log:
        log.append([drafts(2, 1)[0]._replace(body=bytes(5000))])
    with closing(open_small(tmp_path)) as log:
        assert log.head().seq == 2
        assert log.recovery.cut_bytes == 0
        assert log.read(2, 1)[0].body == bytes(5000)


def test_open_sees_a_later_batch_behind_zeros(tmp_path: Path) -> None:
    """A lost block reads as zeros: the length there is 0, and yet it is not the end."""
    make_log(tmp_path, batches=3)
    (path,) = segment_files(tmp_path)
    content = bytearray(path.read_bytes())
    begin = content.index(b"body of 5;") - 72
    content[begin : begin + 64] = bytes(64)
    path.write_bytes(content)
    with pytest.raises(Corrupt, match="record 5 had been synced"):
        open_small(tmp_path)


def test_open_ends_a_log_that_fills_its_segment(tmp_path: Path) -> None:
    """No room for even a length of zero: the file's end is the log's end."""
    with closing(open_small(tmp_path)) as log:
        room = SMALL_SEGMENT_BYTES - log.recovery.end_offset
        frame_bytes = len(encode_batch([drafts(2, 1)[0]._replace(body=b"")], 2, 1, b"")[0][0])
        log.append([drafts(2, 1)[0]._replace(body=b"x" * (room - frame_bytes))])
    with closing(open_small(tmp_path)) as log:
        assert len(segment_files(tmp_path)) == 1
        assert log.head().seq == 2
        log.append(drafts(3, 1))
        assert len(segment_files(tmp_path)) == 2


def test_open_continues_a_file_cut_short(tmp_path: Path) -> None:
    """A restore copies segments without their zeros, and may end inside a frame."""
    make_log(tmp_path, batches=3)
    (path,) = segment_files(tmp_path)
    used = len(path.read_bytes().rstrip(b"\0"))
    with path.open("rb+") as file:
        file.truncate(used - 20)
    with closing(open_small(tmp_path)) as log:
        assert log.head().seq == 9
        fill(log, 2)
        check_all(log, 15)
