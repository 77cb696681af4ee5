"""What the tests of backups share: small logs, a signer, and archives held against the log they are of."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from stemedb.backup import Archiver
from stemedb.backup.layout import STATE_NAME, ArchiveState, read_state
from stemedb.log.synced import read_synced
from stemedb.model import Signer

SIGNER = Signer(bytes(range(1, 33)))


def archive_all(source: Path, target: Path) -> None:
    """Bring the archive up to what is synced."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with closing(Archiver(source, target, SIGNER)) as archiver:
        archiver.step()


def state_of(target: Path) -> ArchiveState:
    """Read the archive's state, which must be there."""
    state = read_state(target / STATE_NAME, ArchiveState)
    assert state is not None
    return state


def check_same(source: Path, target: Path) -> None:
    """Check that the archive holds, byte for byte, what is synced in the log, and says just that."""
    synced = read_synced(source)
    assert synced is not None
    state = state_of(target)
    assert (state.head.seq, state.head.chain) == (synced.head.seq, synced.head.chain.hex())
    names = sorted(path.name for path in source.glob("*.wal"))
    assert sorted(path.name for path in target.glob("*.wal")) == names
    for name, following in zip(names, [*names[1:], ""], strict=True):
        base = int(name[:16], 16)
        used = (int(following[:16], 16) if following else synced.end) - base
        assert (target / name).read_bytes() == (source / name).read_bytes()[:used]
