"""History that can be verified: signed heads, proofs, and an audit that finds a changed byte anywhere."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest
from blake3 import blake3

from stemedb.engine.history import audit
from stemedb.errors import Corrupt, Invalid
from stemedb.log.folder import segment_paths
from stemedb.log.frames import HEADER_BYTES, decode_frames, encode_batch
from stemedb.log.offline import FolderLog
from stemedb.log.protocol import Draft
from stemedb.model.history import ProofPage, SignedHead, verify_head
from tests.e2e.conftest import ServerFactory
from tests.e2e.service import ServiceProcess
from tests.e2e.signing import line


@pytest.fixture
def service(server: ServerFactory) -> ServiceProcess:
    """Return a service with some history."""
    running = server()
    running.bulk([line(number) for number in range(60)])
    return running


def head_of(service: ServiceProcess) -> SignedHead:
    reply = service.get("/v1/log/head")
    assert reply.status == 200
    return msgspec.json.decode(reply.body, type=SignedHead)


def audit_folder(kept: SignedHead, wal_dir: Path) -> None:
    log = FolderLog(wal_dir)
    audit(kept, log.log_id, log.head, log.hashes)


def test_head_is_signed_by_the_key_that_record_1_names(service: ServiceProcess) -> None:
    head = head_of(service)
    verify_head(head)
    assert head.seq == 61
    genesis = next(FolderLog(service.folder / "wal").records())
    assert bytes.fromhex(head.server_key) in genesis.body
    key = service.folder / "wal" / "keys" / "server.key"
    assert key.stat().st_mode & 0o777 == 0o600
    service.restart()
    again = head_of(service)
    assert (again.server_key, again.chain) == (head.server_key, head.chain)
    with pytest.raises(Invalid):
        verify_head(msgspec.structs.replace(head, seq=60))
    with pytest.raises(Invalid):
        verify_head(msgspec.structs.replace(head, chain="00"))


def test_proof_adds_up_to_the_head(service: ServiceProcess) -> None:
    head = head_of(service)
    log_id = bytes.fromhex(head.log_id)
    chain = blake3(b"stemedb:log:v1\n" + log_id).digest()
    for start in (1, 21, 41, 61):
        reply = service.get(f"/v1/log/proof?from={start}&to={min(start + 19, 61)}")
        page = msgspec.json.decode(reply.body, type=ProofPage)
        assert page.first_seq == start
        for digest in page.hashes:
            chain = blake3(chain + bytes.fromhex(digest)).digest()
    assert chain.hex() == head.chain
    assert len(msgspec.json.decode(service.get("/v1/log/proof").body, type=ProofPage).hashes) == 61


@pytest.mark.parametrize(
    "query", ["from=0", "from=62", "from=5&to=4", "to=62", "from=x", "from=1&from=2", "at=1"]
)
def test_proof_refuses_what_is_no_range(service: ServiceProcess, query: str) -> None:
    assert service.get(f"/v1/log/proof?{query}").status == 400


def rewrite(wal_dir: Path, seq: int) -> None:
    """Change a byte of a record as a forger would: hash and checksum made anew, the frame is whole."""
    path = segment_paths(wal_dir)[0]
    data = bytearray(path.read_bytes())
    frames, _ = decode_frames(bytes(data), HEADER_BYTES, 1, seq)
    begin, frame = frames[-2].end, frames[-1]
    record = frame.record
    draft = Draft(record.type, record.body[:-1] + bytes([record.body[-1] ^ 1]))
    forged, _ = encode_batch([draft], record.seq, record.recorded_at, bytes(32))
    # The batch number is the forger's own, which no check of a single frame can tell.
    assert len(forged[0]) == frame.end - begin
    data[begin : frame.end] = forged[0]
    path.write_bytes(data)


def test_audit_finds_a_forged_byte_before_and_after_the_kept_head(
    service: ServiceProcess, tmp_path: Path
) -> None:
    kept = head_of(service)
    service.bulk([line(number) for number in range(100, 140)])
    later = head_of(service)
    assert service.stop() == 0
    wal_dir = service.folder / "wal"
    audit_folder(kept, wal_dir)
    audit_folder(later, wal_dir)
    for seq in (2, 30, 61):
        forged = shutil.copytree(wal_dir, tmp_path / f"forged-{seq}")
        rewrite(forged, seq)
        with pytest.raises(Corrupt, match=f"first {kept.seq} records"):
            audit_folder(kept, forged)
    forged = shutil.copytree(wal_dir, tmp_path / "forged-80")
    rewrite(forged, 80)
    audit_folder(kept, forged)
    with pytest.raises(Corrupt, match=f"first {later.seq} records"):
        audit_folder(later, forged)


def test_audit_finds_a_lost_tail_and_another_log(service: ServiceProcess, server: ServerFactory) -> None:
    kept = head_of(service)
    other = server()
    with pytest.raises(Invalid, match="is of log"):
        audit_folder(kept, other.folder / "wal")
    log = FolderLog(service.folder / "wal")
    with pytest.raises(Corrupt, match="ends with record 60"):
        audit(kept, log.log_id, log.head._replace(seq=60), log.hashes)
