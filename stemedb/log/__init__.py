"""The log: every accepted record, once, in one order, durable before it is acknowledged.

This room promises gapless `seq`, a hash chain over all records, and that what `append` returned for is
there after any crash. It knows nothing of what the records mean: bodies are opaque bytes. It may use
`model`, `errors`, `limits` and `telemetry`, nothing else of ours.
"""

from stemedb.log.protocol import GENESIS_TYPE, Clock, Draft, Head, Log, Position, Record

__all__ = ["GENESIS_TYPE", "Clock", "Draft", "Head", "Log", "Position", "Record"]
