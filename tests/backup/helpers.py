"""What the tests of backups share: small logs, a signer, and archives held against the log they are of."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from stemedb.backup import Archiver
from stemedb.backup.create import Made, Source, create
from stemedb.backup.layout import STATE_NAME, ArchiveState, read_state
from stemedb.backup.points import Points, Target, read_points
from stemedb.backup.restore import Restored, Wanted, restore
from stemedb.engine import Checked, EngineSettings, Erasure, open_engine
from stemedb.log.synced import read_synced
from stemedb.model import Signer, assertion_id, canonical_bytes
from stemedb.store.copying import digest_of
from tests.builders import NOW_S, checked, text

SIGNER = Signer(bytes(range(1, 33)))
TRUSTED = frozenset({SIGNER.agent_id})


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


class Data:
    """A data folder at rest, changed by an engine of its own each time, and its backups."""

    def __init__(self, folder: Path) -> None:
        """Begin with an empty folder."""
        self.settings = EngineSettings(
            folder / "wal", folder / "db", folder / "keys", 16 * 1024, disk_floor_mb=1
        )
        self.backups = folder / "backups"
        self.count = 0

    def say(self, count: int) -> None:
        """Accept so many claims, some of them voted for."""
        with closing(open_engine(self.settings)) as engine:
            changes = [checked(object=text(f"said {at}"), timestamp=NOW_S + at) for at in self._next(count)]
            engine.submit(changes)

    def _next(self, count: int) -> range:
        self.count += count
        return range(self.count - count, self.count)

    def erase(self, *seqs: int) -> None:
        """Erase the claims with these seqs."""
        with closing(open_engine(self.settings)) as engine:
            ids = [assertion_id(canonical_bytes(checked_at(seq).assertion)) for seq in seqs]
            engine.erase(Erasure(tuple(ids), "asked", "test"), now=True)

    def backup(self) -> Made:
        """Make a backup."""
        return create(Source(self.settings.wal_dir, self.settings.db_dir, SIGNER, "test"), self.backups)

    def archive(self) -> None:
        """Bring the archive up to the log."""
        archive_all(self.settings.wal_dir, self.backups / "wal")

    def points(self) -> Points:
        """Read the backups, trusting the one key."""
        return read_points(self.backups, TRUSTED)

    def digest(self) -> str:
        """Return the digest of the data's own view."""
        return digest_of(self.settings.db_dir, live=False)[1]


def checked_at(seq: int) -> Checked:
    """Return the claim that `Data.say` put at `seq`, the genesis being record 1."""
    return checked(object=text(f"said {seq - 2}"), timestamp=NOW_S + seq - 2)


def restore_to(data: Data, folder: Path, at: int | None = None) -> Restored:
    """Restore into `folder`."""
    target = None if at is None else Target(at, None)
    return restore(data.points(), Wanted(folder / "wal", folder / "db", target))
