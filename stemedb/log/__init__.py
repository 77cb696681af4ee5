"""The log: every accepted record, once, in one order, durable before it is acknowledged.

This room promises gapless `seq`, a hash chain over all records, and that what `append` returned for is
there after any crash. It knows nothing of what the records mean: bodies are opaque bytes. It may use
`model`, `errors`, `limits` and `telemetry`, nothing else of ours.

`protocol` is what others see; `frames` knows the bytes, `segments` and `folder` the files, `recovery` the end
of the log after a stop, `local` the writing, `erasing` the overwriting of bodies in place, `offline` the
tools for a folder at rest.
"""

from stemedb.log.erasing import Erases
from stemedb.log.frames import chain_start, next_chain
from stemedb.log.genesis import Genesis, decode_genesis
from stemedb.log.local import LocalLog, Usage
from stemedb.log.lock import FolderLock
from stemedb.log.memory import MemoryLog
from stemedb.log.opening import open_log
from stemedb.log.protocol import GENESIS_TYPE, Clock, Draft, Head, Log, Position, Record
from stemedb.log.recovery import Recovery

__all__ = [
    "GENESIS_TYPE",
    "Clock",
    "Draft",
    "Erases",
    "FolderLock",
    "Genesis",
    "Head",
    "LocalLog",
    "Log",
    "MemoryLog",
    "Position",
    "Record",
    "Recovery",
    "Usage",
    "chain_start",
    "decode_genesis",
    "next_chain",
    "open_log",
]
