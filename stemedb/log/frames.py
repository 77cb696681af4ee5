"""Bytes of a frame and of a segment header: packing, checking, and nothing of files.

A frame, all integers big-endian, 8-byte aligned::

    length u32 | CRC32C u32 | batch u64 | BLAKE3-256 of the payload (32) | payload | zero padding

The payload is: type u8, flags u8 (bit 0: redacted), six zero bytes, seq u64, recorded_at u64, body. The CRC
covers all that follows it, so it finds damage; the hash names the content and feeds the chain. In a redacted
frame the body is overwritten with zeros and the hash is still that of what was once there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from struct import Struct
from typing import Final, NamedTuple

import msgspec
from blake3 import blake3
from crc32c import crc32c

from stemedb.limits import RECORD_BYTES_MAX
from stemedb.log.protocol import Draft, Record

FORMAT_VERSION: Final = 1
HEADER_BYTES: Final = 4096  # a block of its own: a torn first batch must never take the header with it
LOG_ID_BYTES: Final = 16
HASH_BYTES: Final = 32
ALIGNMENT: Final = 8
REDACTED: Final = 1

_MAGIC: Final = b"STEMEWAL"
# magic, format version, four bytes zero, log id, first seq, offset, chain so far, time so far
_HEADER: Final = Struct(">8sI4x16sQQ32sQ")
_U32: Final = Struct(">I")
_U64: Final = Struct(">Q")
_LENGTH_CRC: Final = Struct(">II")
_PAYLOAD: Final = Struct(">BB6xQQ")
_FRAME: Final = Struct(">IIQ32sBB6xQQ")
_PREFIX_BYTES: Final = _LENGTH_CRC.size + _U64.size + HASH_BYTES
PAYLOAD_BYTES_MIN: Final = _PAYLOAD.size
PAYLOAD_BYTES_MAX: Final = PAYLOAD_BYTES_MIN + RECORD_BYTES_MAX
FRAME_BYTES_MIN: Final = _FRAME.size
FRAME_BYTES_MAX: Final = _PREFIX_BYTES + PAYLOAD_BYTES_MAX + ALIGNMENT
_PADDING: Final = tuple(bytes(-n % ALIGNMENT) for n in range(ALIGNMENT))


class Frame(msgspec.Struct, frozen=True, gc=False):
    """A checked frame: its record, the batch it was written in, its hash, and where it ends in the buffer."""

    record: Record
    batch: int
    digest: bytes
    end: int


class Header(NamedTuple):
    """What opens a segment: where it stands in the log, and the chain and time of the record before it."""

    log_id: bytes
    first_seq: int
    offset: int
    chain: bytes
    time: int


class BadHeader(Exception):
    """Not a segment header of this format (`newer`: of a later one); the folder names the error to users."""

    def __init__(self, detail: str, *, newer: bool = False) -> None:
        """Keep whether a later version wrote it."""
        super().__init__(detail)
        self.newer = newer


def chain_start(log_id: bytes) -> bytes:
    """Give the chain value before record 1."""
    return blake3(b"stemedb:log:v1\n" + log_id).digest()


def next_chain(chain: bytes, digest: bytes) -> bytes:
    """Give the chain value after a record with this hash."""
    return blake3(chain + digest).digest()


def payload_hash(seq: int, recorded_at: int, draft: Draft) -> bytes:
    """Give the hash a record has in the log."""
    return blake3(_PAYLOAD.pack(draft.type, 0, seq, recorded_at) + draft.body).digest()


def encode_batch(
    batch: Sequence[Draft], first_seq: int, recorded_at: int, chain: bytes
) -> tuple[list[bytes], bytes]:
    """Give the frames of a batch, in order, and the chain value after it.

    `recorded_at` is that of the first record in microseconds; each later one is 1 us after the former.
    """
    batch_id = _U64.pack(first_seq)
    pack_payload, pack_prefix = _PAYLOAD.pack, _LENGTH_CRC.pack
    frames = []
    for i, (kind, body) in enumerate(batch):
        payload = pack_payload(kind, 0, first_seq + i, recorded_at + i) + body
        digest = blake3(payload).digest()
        length = len(payload)
        rest = b"".join((batch_id, digest, payload, _PADDING[length % ALIGNMENT]))
        frames.append(pack_prefix(length, crc32c(rest)) + rest)
        chain = blake3(chain + digest).digest()
    return frames, chain


def decode_frames(  # noqa: C901, PLR0911 - one loop for speed: a call more for each frame is felt
    buffer: bytes, start: int, seq: int, last_seq: int
) -> tuple[list[Frame], str]:
    """Check and decode frames from `start` on, the first of which must have `seq`, up to `last_seq`.

    Gives the frames, and why it stopped: "" (as asked), "end" (a length of zero), "short" (the buffer holds
    no whole frame more, also where it ends exactly with one) or, in words, what is wrong with the next frame.
    """
    frames: list[Frame] = []
    unpack, size = _FRAME.unpack_from, len(buffer)
    offset = start
    while seq <= last_seq:
        if offset + FRAME_BYTES_MIN > size:
            return frames, "short"
        length, crc, batch, digest, kind, flags, found, recorded_at = unpack(buffer, offset)
        if length == 0:
            return frames, "end"
        if not PAYLOAD_BYTES_MIN <= length <= PAYLOAD_BYTES_MAX:
            return frames, f"impossible length {length}"
        payload_end = offset + _PREFIX_BYTES + length
        end = payload_end + -length % ALIGNMENT
        if end > size:
            return frames, "short"
        if crc32c(buffer[offset + 8 : end]) != crc:
            return frames, "checksum does not match"
        if found != seq or batch > seq:
            return frames, f"seq {found} of batch {batch} where seq {seq} belongs"
        if flags == 0:
            payload = buffer[offset + _PREFIX_BYTES : payload_end]
            if blake3(payload).digest() != digest:
                return frames, "hash does not match"
            record = Record(found, recorded_at, kind, payload[PAYLOAD_BYTES_MIN:])
        elif flags == REDACTED:
            record = Record(found, recorded_at, kind, b"", redacted=True)
        else:
            return frames, f"unknown flags {flags:#04x}"
        frames.append(Frame(record, batch, digest, end))
        offset = end
        seq += 1
    return frames, ""


def find_frames(buffer: memoryview, start: int, first_seq: int) -> list[tuple[int, int, int]]:
    """Look for whole frames with a seq of `first_seq` or more at every aligned offset from `start` on.

    This is how recovery sees past damage. Gives (offset, seq, batch) of each; what lies inside a frame that
    is whole is not looked at.
    """
    found: list[tuple[int, int, int]] = []
    usable = start + (len(buffer) - start) // ALIGNMENT * ALIGNMENT
    skip_to = start
    for i, (length, crc) in enumerate(_LENGTH_CRC.iter_unpack(buffer[start:usable])):
        # Almost every position fails here: text read as a length is far over the limit.
        if not PAYLOAD_BYTES_MIN <= length <= PAYLOAD_BYTES_MAX:
            continue
        offset = start + i * ALIGNMENT
        end = offset + _PREFIX_BYTES + length + -length % ALIGNMENT
        if offset < skip_to or end > len(buffer):
            continue
        _, _, batch, digest, _, flags, seq, _ = _FRAME.unpack_from(buffer, offset)
        if seq < first_seq or not 0 < batch <= seq or flags > REDACTED:
            continue
        if crc32c(buffer[offset + 8 : end]) != crc:
            continue
        payload = buffer[offset + _PREFIX_BYTES : offset + _PREFIX_BYTES + length]
        if flags == 0 and blake3(payload).digest() != digest:
            continue
        found.append((offset, seq, batch))
        skip_to = end
    return found


def redact(frame: bytes) -> bytes:
    """Give the same frame with its body overwritten: same length, place and hash, and a CRC of its own."""
    length, _ = _LENGTH_CRC.unpack_from(frame, 0)
    changed = bytearray(frame)
    changed[_PREFIX_BYTES + 1] = REDACTED
    changed[FRAME_BYTES_MIN : _PREFIX_BYTES + length] = bytes(length - PAYLOAD_BYTES_MIN)
    _U32.pack_into(changed, 4, crc32c(memoryview(changed)[8:]))
    return bytes(changed)


def frame_bytes(head: bytes, seq: int) -> int | None:
    """Give the bytes that the frame takes whose first `FRAME_BYTES_MIN` bytes are `head`.

    None if it cannot be the frame of `seq`. Nothing here depends on what `redact` changes.
    """
    if len(head) < FRAME_BYTES_MIN:
        return None
    length: int
    length, _, batch, _, _, flags, found, _ = _FRAME.unpack_from(head)
    if not PAYLOAD_BYTES_MIN <= length <= PAYLOAD_BYTES_MAX or found != seq:
        return None
    if not 0 < batch <= seq or flags not in (0, REDACTED):
        return None
    return _PREFIX_BYTES + length + -length % ALIGNMENT


def half_redacted(frame: bytes, sector_ends: Iterable[int]) -> bool:
    """Say whether some part of a frame between `sector_ends` is as `redact` would leave it.

    `sector_ends` are places after the frame's head. Cheap, and never wrong about a frame of which some
    sectors are as before and some as after `redact`; other damage may look so too.
    """
    length, _, _, digest, _, flags, _, _ = _FRAME.unpack_from(frame)
    if flags == REDACTED or blake3(frame[_PREFIX_BYTES : _PREFIX_BYTES + length]).digest() == digest:
        return True
    ends = [*sector_ends, len(frame)]
    return any(not frame[begin:end].strip(b"\0") for begin, end in pairwise(ends))


def frame_record(buffer: memoryview, offset: int) -> Record:
    """Give the record of a frame that was checked before."""
    length, _, _, _, kind, flags, seq, recorded_at = _FRAME.unpack_from(buffer, offset)
    body = bytes(buffer[offset + FRAME_BYTES_MIN : offset + _PREFIX_BYTES + length])
    if flags == REDACTED:
        return Record(seq, recorded_at, kind, b"", redacted=True)
    return Record(seq, recorded_at, kind, body)


def encode_header(header: Header) -> bytes:
    """Give the first block of a segment: the header, zeros, and a CRC32C of it all in the last four bytes."""
    packed = _HEADER.pack(
        _MAGIC, FORMAT_VERSION, header.log_id, header.first_seq, header.offset, header.chain, header.time
    )
    block = packed.ljust(HEADER_BYTES - _U32.size, b"\0")
    return block + _U32.pack(crc32c(block))


def decode_header(block: bytes) -> Header:
    """Check and decode a segment's first block.

    Raises:
        BadHeader: it is short, damaged, not a segment's, or of a later format version.
    """
    if len(block) < HEADER_BYTES:
        raise BadHeader(f"the header is cut short: {len(block)} of {HEADER_BYTES} bytes")
    magic, version, log_id, first_seq, offset, chain, time = _HEADER.unpack_from(block)
    if magic != _MAGIC:
        raise BadHeader("it does not begin as a segment does")
    (crc,) = _U32.unpack_from(block, HEADER_BYTES - _U32.size)
    if crc32c(block[: HEADER_BYTES - _U32.size]) != crc:
        raise BadHeader("the header's checksum does not match")
    # After the checksum, so that a flipped bit is not mistaken for a later version: every version keeps
    # magic, version and checksum where they are.
    if version != FORMAT_VERSION:
        raise BadHeader(f"format version {version}; this one reads {FORMAT_VERSION}", newer=True)
    return Header(log_id, first_seq, offset, chain, time)
