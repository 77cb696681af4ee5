"""The service's own log: one JSON object a line, without keys, written aside."""

from __future__ import annotations

import json
import queue
import re
import threading
from collections.abc import Callable, MutableMapping
from typing import Any, BinaryIO, Final

import structlog

from stemedb import limits

_SECRET: Final = re.compile(r"steme_live_[A-Za-z0-9_-]+")  # an API key, or a part of one
_LOG_BLOCK_LINES: Final = 256  # written together


class LogSink:
    """Writes log lines from a thread of its own, so that a slow reader of the log never holds a request."""

    def __init__(self, stream: BinaryIO) -> None:
        """Start writing to `stream`."""
        self._stream = stream
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._dropped_count = 0
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        """Hand over one line, without its end; beyond the limit it is dropped and counted."""
        if self._lines.qsize() >= limits.LOG_LINES_MAX:
            self._dropped_count += 1
        else:
            self._lines.put(line)

    def close(self, timeout_s: float = limits.LOG_CLOSE_TIMEOUT_S) -> None:
        """Write what waits, for `timeout_s` at most; a second call does nothing more."""
        self._lines.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            block = [line]
            while len(block) < _LOG_BLOCK_LINES and not self._lines.empty():
                following = self._lines.get()
                if following is None:
                    self._lines.put(None)
                    break
                block.append(following)
            if self._dropped_count:
                block.append(b'{"event":"log lines dropped","count":%d}' % self._dropped_count)
                self._dropped_count = 0
            self._stream.write(b"\n".join(block) + b"\n")
            self._stream.flush()


class _Lines:
    """The end of structlog's chain: hands rendered lines over."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self.msg = self.log = self.debug = self.info = write
        self.warning = self.error = self.critical = write


def masked(text: str) -> str:
    """Return `text` with every API key in it, or part of one, taken out."""
    return _SECRET.sub("steme_live_(hidden)", text) if "steme_live_" in text else text


def make_logger(level: int, write: Callable[[bytes], object]) -> structlog.typing.FilteringBoundLogger:
    """Return a logger that gives `write` one JSON object a line, from `level` (of `logging`) on."""
    encode = json.JSONEncoder(default=repr, separators=(",", ":")).encode

    def render(_logger: object, _name: str, event: MutableMapping[str, Any]) -> bytes:
        # ASCII only: nothing that a client sends can start a line of its own or speak to a terminal.
        line = encode(event)
        # Whatever it came in by: a path, a request's id, an error's text.
        return masked(line).encode()

    logger: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        _Lines(write),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.format_exc_info,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    return logger
