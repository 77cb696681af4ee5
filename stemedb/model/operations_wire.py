"""The JSON shapes of what operators ask: sizes of the storage, and questions that took long."""

from __future__ import annotations

import msgspec


class LogStats(msgspec.Struct, frozen=True):
    """The log: its last record, its files, and the bytes they take on disk."""

    seq: int
    segments_count: int
    bytes: int


class ViewStats(msgspec.Struct, frozen=True):
    """The view: its last record, its claims, how much of its map is in use, and what its file takes."""

    seq: int
    claims_count: int
    map_used_bytes: int
    map_size_bytes: int
    map_use: float
    file_bytes: int


class DiskStats(msgspec.Struct, frozen=True):
    """A data folder's file system; writes stop below `floor_bytes` free."""

    folder: str
    free_bytes: int
    size_bytes: int
    floor_bytes: int


class StorageReply(msgspec.Struct, frozen=True):
    """GET /v1/admin/storage/stats."""

    log: LogStats
    view: ViewStats
    audits_file_bytes: int
    queued_changes_count: int
    disks: list[DiskStats]


class SlowQueryOut(msgspec.Struct, frozen=True):
    """A question that took long: `time` is when it was answered (microseconds), `plan` how.

    `looked_count` claims were read, `found_count` of them bear on the answer; both are none where the time
    ran out. `key_id` and `agent` (what the client calls itself) are empty where there was none.
    """

    number: int
    time: int
    request_id: str
    key_id: str
    agent: str
    endpoint: str
    parameters: dict[str, list[str]]
    plan: list[str]
    looked_count: int | None
    found_count: int | None
    duration_ms: float


class SlowQueriesReply(msgspec.Struct, frozen=True):
    """GET /v1/admin/slow-queries: the newest first."""

    threshold_ms: int
    slow_queries: list[SlowQueryOut]
    next_cursor: str | None
