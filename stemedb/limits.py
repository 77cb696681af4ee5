"""Every limit of the system, named once. Units stand last in the names.

Imports nothing of ours; any room may read it. `stemedb config` prints this table.
"""

from __future__ import annotations

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

# -- what a claim may hold (claims.md 1) --
SUBJECT_BYTES_MAX: Final = 256
PREDICATE_BYTES_MAX: Final = 128
REFERENCE_BYTES_MAX: Final = 256
TEXT_BYTES_MAX: Final = 64 * KIB
VECTOR_NUMBERS_MAX: Final = 4096
SIGNATURES_MAX: Final = 64  # in one request; a claim may gain more by endorsement
INTEGER_ABS_MAX: Final = 2**53  # beyond it a float64 cannot hold every integer
SOURCE_TITLE_BYTES_MAX: Final = 1 * KIB
SOURCE_URL_BYTES_MAX: Final = 2 * KIB
SOURCE_CONTENT_BYTES_MAX: Final = 1 * MIB
TIMESTAMP_S_MAX: Final = 2**63 - 1  # fits a signed 64-bit integer everywhere
TIMESTAMP_AHEAD_S_MAX: Final = 300  # how far in the future the API accepts a claim

# -- bodies and headers --
BODY_BYTES_MAX: Final = 1 * MIB  # one JSON body
SOURCE_BODY_BYTES_MAX: Final = 7 * MIB  # one of /v1/source: JSON may take six bytes for one of its content
BULK_BYTES_MAX: Final = 128 * MIB  # one NDJSON request
BULK_LINES_MAX: Final = 100_000
BULK_LINE_BYTES_MAX: Final = 1 * MIB  # one line of it, as one body
BULK_CHUNK_LINES_MAX: Final = 512  # lines verified and enqueued together
BULK_REQUESTS_MAX: Final = 4  # at the same time
URL_BYTES_MAX: Final = 8 * KIB
HEADER_BYTES_MAX: Final = 32 * KIB

# -- asking --
PAGE_ITEMS_DEFAULT: Final = 100
PAGE_ITEMS_MAX: Final = 1000
CANDIDATES_MAX: Final = 100_000  # claims one question may look at
CONTRIBUTING_ITEMS_MAX: Final = 100
ALIASES_MAX: Final = 100  # subjects that aliases join into one question
VISUAL_BITS: Final = 64  # of a perceptual hash
VISUAL_THRESHOLD_DEFAULT: Final = 8  # bits that may differ
NEAREST_DEFAULT: Final = 10  # claims that vector_near gives
CURSOR_BYTES_MAX: Final = 2 * KIB
QUERY_TIMEOUT_S: Final = 10.0
MIN_SEQ_WAIT_S_MAX: Final = 2.0  # how long Stemedb-Min-Seq waits for the view
FEED_WAIT_S_MAX: Final = 30.0  # how long one request may wait for news
FEED_LOOK_S: Final = 0.5  # how often it looks whether the service drains

# -- the writer --
QUEUE_CHANGES_MAX: Final = 10_000  # waiting for the writer; beyond it 503
BATCH_CHANGES_MAX: Final = 4096  # records of one group commit
BATCH_BYTES_MAX: Final = 8 * MIB
RECORD_BYTES_MAX: Final = 2 * MIB

# -- the view --
MAP_BYTES_DEFAULT: Final = 64 * 1024 * MIB  # address space, not memory: the file is sparse
READERS_MAX: Final = 512
FOLD_RECORDS_MAX: Final = 20_000  # in one transaction of a replay: it copies most pages of the view's tables
REBUILD_RECORDS_MIN: Final = 10_000  # from here on an empty view is built beside its place and synced once
COPY_ROWS_MAX: Final = 2000  # rows copied at once when the view moves to a new file
VIEW_COMPACT_WITHIN_S: Final = 24 * 3600  # after an erasure, for its old bytes to leave the view's file
VIEW_COMPACT_AFTER_S: Final = 23 * 3600  # when that is begun
VIEW_COMPACT_RETRY_S: Final = 600  # after it failed
VIEW_COMPACT_LOOK_S: Final = 3600  # how often the clock is looked at
MARKS: Final = 16_384  # places, a power of two, by which subjects note when they last changed

# -- answers that are remembered --
ANSWER_CLOCK_STEP_S: Final = 5  # how often the clock of answers goes on: ages are counted up to it
ANSWERS_KEPT_BYTES_MAX: Final = 8 * MIB  # of replies, within the step they were computed in
ANSWERS_KEPT_OVERHEAD_BYTES: Final = 2048  # what each counts for beside its bytes

# -- audits of questions --
AUDIT_BYTES_MAX: Final = 1024 * MIB  # what their file may take
AUDIT_KEPT_S: Final = 30 * 24 * 3600
AUDIT_QUEUE_MAX: Final = 10_000  # waiting to be written; beyond it audits are dropped and counted
AUDIT_BATCH_MAX: Final = 500  # written in one transaction
AUDIT_PRUNE_MAX: Final = 4 * AUDIT_BATCH_MAX  # removed in one transaction
AUDIT_TIME_S_MAX: Final = 2**43  # the latest second that can be asked for: fits 64 bits as microseconds
AUDIT_GATHER_S: Final = 0.05  # for more to come before a transaction, unless somebody looks for them
AUDIT_WAIT_S_MAX: Final = 2.0  # how long who looks for audits waits for those handed over before; then 503

# -- erasing --
ERASE_HASHES_MAX: Final = 1000  # in one request
ERASE_REASON_CHARS_MAX: Final = 1000
AGENT_LABEL_CHARS_MAX: Final = 128  # of X-Agent-Id, which is only a label
ERASE_WAIT_S_MAX: Final = 10.0  # for the view's new file, with `now`; later it goes on by itself

# -- the disk --
DISK_FLOOR_MB_DEFAULT: Final = 512  # below it writes are refused
DISK_LOOK_S: Final = 1.0  # how often free space is looked at

# -- the client and the command line --
CLIENT_TIMEOUT_S: Final = 30.0  # one wait on the connection
CLIENT_PATIENCE_S: Final = 2.0  # how long a request that may be repeated is tried again
CLIENT_BACKOFF_S: Final = 0.1  # first pause between tries; doubles
CLIENT_BACKOFF_S_MAX: Final = 5.0
CLIENT_FEED_WAIT_S: Final = 20.0  # how long one request of a follower waits for news
CLIENT_REPLY_BYTES_MAX: Final = 512 * MIB  # a page of claims that all hold the longest text
CLIENT_BATCH_LINES_MAX: Final = 2000  # lines of one bulk request, and so what an import holds in memory
CLIENT_BATCH_BYTES_MAX: Final = 4 * MIB
CLIENT_WORK_BITS_MAX: Final = 24  # more than that, some 17 million hashes, no honest server asks for
IMPORT_PATIENCE_S: Final = 60.0  # an import outlives a restart of the server
IMPORT_LINE_BYTES_MAX: Final = 2 * MIB  # one row of an imported file
IMPORT_REFUSED_LISTED_MAX: Final = 100  # refused lines named in the summary; all are counted
TOP_INTERVAL_S_DEFAULT: Final = 2.0  # between two looks of `stemedb top`
TOP_INTERVAL_S_MIN: Final = 0.1
TOP_INTERVAL_S_MAX: Final = 3600.0
LOG_FOLLOW_S: Final = 0.25  # how often a followed file is looked at
LOG_SHOWN_LINES_DEFAULT: Final = 1000  # how far back `stemedb logs` begins in the journal
LOG_SHOWN_LINES_MAX: Final = 10_000_000
KEY_NAME_BYTES_MAX: Final = 256
KEYRING_BYTES_MAX: Final = 64 * MIB
SHOWN_TEXT_CHARS_MAX: Final = 200  # of one value in a table; `--json` shows it whole

# -- the log --
LOG_SEGMENT_BYTES_DEFAULT: Final = 64 * MIB  # one file; rotation is prepared when half of it is used
LOG_SEGMENT_BYTES_MIN: Final = 1 * MIB
LOG_SEGMENT_BYTES_MAX: Final = 4 * 1024 * MIB
LOG_PROOF_PAGE_MAX: Final = 10_000  # frame hashes in one page of a proof
LOG_READ_RECORDS_MAX: Final = 20_000  # in one answer of Log.read
LOG_READ_BYTES_MAX: Final = 16 * MIB  # likewise; it stops reading after that much
LOG_READ_FIRST_BYTES: Final = 128 * KIB  # first read of a walk: covers a short answer
LOG_READ_CHUNK_BYTES: Final = 1 * MIB  # each later read
LOG_INDEX_STEP_BYTES: Final = 64 * KIB  # a segment's index remembers one frame in so many bytes
VERIFY_LOOKS: Final = 20  # at a frame that is not whole, before verification calls it damaged
VERIFY_LOOK_S: Final = 0.02  # between them
LOG_NO_SPACE_RETRY_S: Final = 5  # what a writer is told to wait when the disk is full

# -- backups --
ARCHIVE_LOOK_S: Final = 0.25  # how often the archive looks for what was synced
ARCHIVE_RETRY_S: Final = 1.0  # after something went wrong
ARCHIVE_LOCK_WAIT_S: Final = 5.0  # for another process, such as a backup, to let the archive go
ARCHIVE_STATE_EVERY_S: Final = 10.0  # an idle archive says so often that it lacks nothing
ARCHIVE_METRICS_EVERY_S: Final = 1.0
ARCHIVE_LAG_S_MAX: Final = 60.0  # a record that is not archived for so long: health says degraded
BACKUP_AGE_H_MAX: Final = 26.0  # the newest snapshot's, made once a day: older, and the doctor warns
BACKUP_ROOM_FACTOR: Final = 2  # free space wanted, in sizes of what is to be written
BACKUP_COPY_S_MAX: Final = 3600.0  # for copying the view; then the backup gives up, as its pages are pinned
BACKUP_GROWTH_BYTES_MAX: Final = 4 * 1024 * MIB  # that the view may grow by meanwhile
BACKUP_ARCHIVE_WAIT_S: Final = 60.0  # for the archive to hold what the copy of the view holds
BACKUP_MANIFEST_BYTES_MAX: Final = 16 * MIB
BACKUP_LOCK_WAIT_S: Final = 10.0  # for the archive, or another backup, to let the folder go
FAR_COPIES_MAX: Final = 100  # copies out of reach that the answer to an erasure lists
RESTORE_MARGIN_S: Final = 60.0  # a time so short before the archive's last word is not taken as complete
BACKUPS_KEPT_MAX: Final = 10_000
TRUSTED_KEYS_BYTES_MAX: Final = 64 * KIB
DRILL_ARCHIVE_WAIT_S: Final = 60.0  # for the archive to hold the drill's claim
DRILL_TRIES_MAX: Final = 3  # restores, where something was erased meanwhile

# -- settings --
PORT_MAX: Final = 65_535
DISK_FLOOR_MB_MAX: Final = 1024 * 1024

# -- connections --
HTTP_WORKERS: Final = 32  # threads that answer requests
TURNS: Final = 2  # of them that compute at the same time
TURN_WAIT_S: Final = 0.02  # for such a turn, before a request goes on without one
PIPELINED_PAUSE_S: Final = 0.0001  # of a worker after a request that another had come with
CONNECTIONS_MAX: Final = 8192  # open at once; more wait in the listen queue
LISTEN_QUEUE_MAX: Final = 1024  # connections the kernel holds for us
HEAD_TIMEOUT_S: Final = 10.0  # from a request's first byte to the end of its head
BODY_TIMEOUT_S: Final = 30.0  # from there to the end of its body
IDLE_TIMEOUT_S: Final = 75.0  # between requests of one connection; longer than proxies keep theirs
REPLY_TIMEOUT_S: Final = 30.0  # for a client to read its reply
LINGER_TIMEOUT_S: Final = 2.0  # reading on after a refusal, so that the client gets to see it
COLLECTED_BYTES_MAX: Final = 64 * MIB  # requests that wait or are being answered, all connections together
CROWDED_WAIT_S_MIN: Final = 0.2  # who waits for its client that long may be dropped where room runs out
CROWDED_DROPS_MAX: Final = 64  # connections dropped at once for new ones
CROWDED_LOOKED_MAX: Final = 512  # connections among which those are chosen
UNSENT_BYTES_MAX: Final = 256 * MIB  # replies that wait for slow readers, all connections together
READY_REQUESTS_MAX: Final = 4096  # complete requests that wait for a worker; beyond it 503
REQUEST_ID_CHARS_MAX: Final = 128
QUERY_PARAMETERS_MAX: Final = 100
LATERS_MAX: Final = 256  # replies that wait for the log without a thread; beyond it with one
WAITING_WORKERS_MAX: Final = HTTP_WORKERS // 4  # that may stand still for Stemedb-Min-Seq or the feed

# -- bulk --
BULK_CHUNK_BYTES_MAX: Final = 4 * MIB  # of lines verified and enqueued together
BULK_READ_BYTES: Final = 256 * KIB  # read from the connection at a time
BULK_CHUNKS_SMALL_MAX: Final = 1000  # chunks of any size; each costs the same however small it is
BULK_CHUNK_BYTES_MIN: Final = 64  # of a body in more chunks, on average
BULK_IDLE_TIMEOUT_S: Final = 30.0  # without a byte from the client
BULK_RATE_BYTES_S_MIN: Final = 4 * KIB  # the client's average, beyond the first BULK_IDLE_TIMEOUT_S
BULK_RETRY_AFTER_S: Final = 5
BULK_PAUSE_AFTER_LINES: Final = 128  # of a chunk; a short one is read soon anyway
BULK_PAUSE_LINES: Final = 8  # read in a row from there on, before others have the processor
BULK_PAUSE_S: Final = 0.00005
BULK_PAUSE_WITHIN_S: Final = 0.1  # of another request
BULK_HELPERS: Final = 2 * BULK_REQUESTS_MAX  # of each request one chunk is verified, and one written
VERIFIERS: Final = 2  # processes that share the signatures that wait
VERIFIED_APART_MIN: Final = 8  # signatures that are worth asking them; fewer are verified where they are
VERIFIERS_AWAITED_MIN: Final = (
    128  # signatures that wait for verifiers that others have asked; fewer likewise
)
VERIFIER_WAIT_S: Final = 5.0  # for their answer, and
VERIFIER_WAIT_EACH_S: Final = 0.01  # for each signature; then the service verifies what was asked
VERIFIER_PAUSE_S: Final = 60.0  # after one was lost, before another takes its place
VERIFYING_CLAIMS_MAX: Final = 10_000  # single claims that wait to be verified; beyond it 503
VERIFY_THREADS: Final = 2  # that verify a backup's signatures

# -- the service's life --
COLLECT_AFTER_OBJECTS: Final = 50_000  # made and not freed, before circles among them are looked for
START_GRACE_S: Final = 2.0  # before it accepts although it is not ready
DRAIN_IDLE_S: Final = 0.5  # how long a silent connection may still send a request while draining
DRAIN_TIMEOUT_S: Final = 7.0  # for everything that was connected
RETRY_AFTER_S: Final = 1  # what a 503 of a starting or draining server says
EXTEND_TIMEOUT_S: Final = 30  # asked of systemd at each sign of progress in a long start
WATCHDOG_TIMEOUT_S_MAX: Final = 10.0  # for the service's answer to its own probe
FAILURE_NOTICE_S: Final = 0.3  # between the failure of storage and the end of the process
CLOSE_TIMEOUT_S: Final = 1.5  # for log and view to be closed after the drain

# -- telemetry --
SLOW_QUERY_MS_DEFAULT: Final = 1000  # from which on a question is noted as slow
SLOW_QUERY_MS_MAX: Final = 24 * 3600 * 1000
SLOW_QUERIES_MAX: Final = 200  # the newest are kept in memory
LATENCY_WINDOW_S: Final = 300.0
LATENCY_SAMPLES_MAX: Final = 10_000
LOG_LINES_MAX: Final = 10_000  # that wait for a slow reader of the log; beyond it they are dropped
LOG_CLOSE_TIMEOUT_S: Final = 1.0  # for the last lines at the end of the process

# -- looking after a host --
VIEW_ROOM_BYTES_MIN: Final = 8 * MIB  # less free space than this explains a write of the view cut short
VIEW_START_CHECK_BYTES_MAX: Final = 32 * MIB  # a view up to this is checked at each start: a quarter second
SYNC_PROBES: Final = 100  # writes and syncs by which doctor measures the disk
SYNC_PROBE_BYTES: Final = 4 * KIB  # of each
CLOCK_APART_S_MAX: Final = 60  # between the clock and the log's last record
HEAD_BYTES_MAX: Final = 4 * KIB  # of a kept head
REPORT_JOURNAL_LINES_MAX: Final = 5000  # of the units, in a support bundle
REPORT_PART_CHARS_MAX: Final = 8 * MIB  # of one file in it; the end is kept
REPORT_FILES_MAX: Final = 10_000  # whose names and sizes it lists
REPORT_WAIT_S: Final = 15.0  # for one command or one reply of the server

# -- guards --
PROOF_BITS_NEW: Final = 16  # zero bits of the work of an agent with few claims
PROOF_BITS_YOUNG: Final = 1
PROOF_CLAIMS_NEW: Final = 10  # claims below which an agent is new
PROOF_CLAIMS_YOUNG: Final = 50  # and below which it is young
PROOF_TRUST_MILLIONTHS: Final = 600_000  # an agent trusted that far is not new
PROOF_AGE_S_MAX: Final = 300
PROOF_AHEAD_S_MAX: Final = 30
PROOFS_REMEMBERED_MAX: Final = 1_000_000
BREAKER_REFUSALS_MAX: Final = 5  # refused claims of an agent within the window that open its breaker
BREAKER_WINDOW_S: Final = 60.0
BREAKER_PAUSE_S: Final = 30.0  # open for so long, then one try
BREAKERS_MAX: Final = 100_000  # agents with a refusal that are remembered
RATE_NAMES_MAX: Final = 100_000  # clients whose pace is remembered
RATE_PROBE_BURST: Final = 200  # requests at once, and each second: health and probes, no key needed
RATE_PROBE_PER_S: Final = 50
RATE_READ_BURST: Final = 2000
RATE_READ_PER_S: Final = 1000
RATE_WRITE_BURST: Final = 1000
RATE_WRITE_PER_S: Final = 500
RATE_BULK_BURST: Final = 40  # bulk requests; each may hold 100,000 lines
RATE_BULK_PER_S: Final = 10
RATE_ADMIN_BURST: Final = 100
RATE_ADMIN_PER_S: Final = 20
RATE_STRANGER_BURST: Final = 50  # requests without a key that lives
RATE_STRANGER_PER_S: Final = 1
API_KEY_AGENTS_MAX: Final = 100  # agents that one API key may be bound to
API_KEY_NAME_BYTES_MAX: Final = 128
SKETCH_HASHES: Final = 128  # of a text, four bytes each; they stand in the log with the claim
SKETCH_PIECES_MIN: Final = 64  # different pieces; shorter texts are compared with none
SKETCH_TEXT_BYTES_MAX: Final = 64 * KIB  # of letters and digits that are looked at
SCORED_BYTES_MAX: Final = 4 * KIB  # of letters and digits whose pieces are all scored; of more, every fourth
SKETCH_CANDIDATES_MAX: Final = 32  # texts of an agent that one claim is compared with; the newest
SIMILARITY_MAX: Final = 0.9  # from here on a text is nearly the same (api.md)
QUALITY_MIN: Final = 0.4  # below it a claim is held back (api.md)
CONFIDENCE_EARNED_MAX: Final = 0.8  # above it the signers' trust must be at least one half (api.md)
QUARANTINE_AGENT_MAX: Final = 1000  # claims of one agent that wait; more are refused
QUARANTINE_MAX: Final = 100_000  # of all agents
QUARANTINE_RETRY_S: Final = 3600  # what a 503 says where all that room is taken
ANCESTORS_MAX: Final = 100  # claims that one revises, and those it revises, to which its text may be alike
METER_QUOTA_DEFAULT: Final = 10_000  # tokens of an agent, refilled over an hour
METER_QUOTA_MAX: Final = 1_000_000_000
METER_PERIOD_S: Final = 3600
METER_CALLER_FACTOR: Final = 10  # quotas that a caller (key or address) has
METER_COST_CLAIM: Final = 10
METER_COST_VOTE: Final = 1
METER_COST_QUESTION: Final = 5
METER_COST_LENS: Final = 1
METER_COST_REPLAY: Final = 1  # what remains of a cost where everything was there already
METER_NAMES_MAX: Final = 100_000  # agents, and callers, whose balances are remembered
METER_SAVED_NAMES_MAX: Final = 20_000  # of each, those used last: over a restart
METER_SAVE_EVERY_S: Final = 1.0
