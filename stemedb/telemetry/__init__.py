"""Every metric, named once, and the service's own log.

Imports nothing of ours but limits; any room may use it. Nothing is shared between instances: each `Telemetry`
has a registry of its own, each logger its own stream.

`metrics` has what the service shows, `collectors` those of them that are worked out when they are asked for,
`textfiles` what commands leave for node_exporter, `logs` the lines.
"""

from stemedb.telemetry.collectors import LatencyWindow
from stemedb.telemetry.logs import LogSink, make_logger, masked
from stemedb.telemetry.metrics import CONTENT_TYPE, Telemetry
from stemedb.telemetry.textfiles import TEXTFILE_METRICS, Sample, textfile

__all__ = [
    "CONTENT_TYPE",
    "TEXTFILE_METRICS",
    "LatencyWindow",
    "LogSink",
    "Sample",
    "Telemetry",
    "make_logger",
    "masked",
    "textfile",
]
