-- Sessions, claims, checkpoints, logs and what they need. Every statement may be run again without harm.
--
-- Macros: {database}, {on_cluster}, {engine} (MergeTree, or ReplicatedMergeTree on a cluster), {fsync} (1 or 0),
-- {retention_days}. A statement ends with a semicolon at the end of a line.
--
-- A row that must be kept is on the disk when it is acknowledged, and stays there: an insert is synced, and so is a
-- merge, since the parts it replaces are deleted at once. Small parts are one packed file instead of ten
-- (min_bytes_for_full_part_storage): a one-row insert makes a part, and creating and syncing files is most of its cost.
--
-- Append only: state is read from rows, never changed in place. Every row has an identity of its own (a session's
-- id, an (epoch, seq), a chunk's number), so that a row that was sent twice is read once.

-- What was asked for. Unpartitioned, and with a deduplication window, because ids and keys that a client chose
-- go through a compare-and-set here; the block number says who was first.
CREATE TABLE IF NOT EXISTS {database}.sessions {on_cluster}
(
    session_id        String,
    cascade_id        String,
    bundle            String COMMENT 'content hash of the cascade''s bundle',
    input             String CODEC(ZSTD(1)) COMMENT 'JSON',
    grants            Array(String),
    priority          Int32,
    tags              Array(String),
    parent_session_id String,
    parent_phase      String,
    depth             UInt16,
    idempotency_key   String,
    requested_by      String,
    worker_id         String COMMENT 'the claim of epoch 1, when the submitting worker made it; else empty',
    submission_id     String COMMENT 'one attempt to submit; tells our own row from another''s of the same id or key',
    created_at        DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = {engine}
ORDER BY session_id
SETTINGS fsync_after_insert = {fsync}, fsync_part_directory = {fsync}, min_rows_to_fsync_after_merge = {fsync},
    min_bytes_for_full_part_storage = 1048576, enable_block_number_column = 1,
    non_replicated_deduplication_window = 100000, replicated_deduplication_window = 100000,
    replicated_deduplication_window_seconds = 604800
COMMENT 'One row per session as it was asked for; never changed.';

-- Who owns a session in which epoch. The window has to outlive every claim that is in flight: at 1,000 claims a
-- second, more than a server takes in one-row inserts, it lasts 100 s, and a statement gives up after 60.
CREATE TABLE IF NOT EXISTS {database}.claims {on_cluster}
(
    session_id String,
    epoch      UInt32,
    worker_id  String,
    claim_id   String,
    at         DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = {engine}
ORDER BY (session_id, epoch)
SETTINGS fsync_after_insert = {fsync}, fsync_part_directory = {fsync}, min_rows_to_fsync_after_merge = {fsync},
    min_bytes_for_full_part_storage = 1048576, enable_block_number_column = 1,
    non_replicated_deduplication_window = 100000, replicated_deduplication_window = 100000,
    replicated_deduplication_window_seconds = 604800
COMMENT 'The right to run a session, by epoch. Of several rows of one epoch the lowest _block_number holds.';

-- The history. Sent without deduplication: readers take one row per (epoch, seq), so a row sent twice is harmless,
-- while a deduplication token that outlived a crash would swallow a row for good.
CREATE TABLE IF NOT EXISTS {database}.checkpoints {on_cluster}
(
    session_id String,
    epoch      UInt32,
    seq        UInt32,
    kind       LowCardinality(String) COMMENT 'takeover, phase, attempt, release, suspend or end',
    phase      String,
    visit      UInt32,
    body       String CODEC(ZSTD(1)) COMMENT 'JSON, by kind',
    base_epoch UInt32,
    base_seq   UInt32,
    worker_id  String,
    at         DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = {engine}
ORDER BY (session_id, epoch, seq)
SETTINGS fsync_after_insert = {fsync}, fsync_part_directory = {fsync}, min_rows_to_fsync_after_merge = {fsync},
    min_bytes_for_full_part_storage = 1048576
COMMENT 'A session''s history: one row per finished phase. Which rows count, windlass.protocol.history says.';

-- What people read and analyse. By minute first, since people ask for a time; the filter finds one session in it.
-- A week per partition, so that retention drops whole parts and rewrites none.
CREATE TABLE IF NOT EXISTS {database}.unified_logs {on_cluster}
(
    at         DateTime64(6, 'UTC') DEFAULT now64(6) CODEC(Delta, ZSTD(1)),
    session_id String,
    cascade_id LowCardinality(String),
    epoch      UInt32,
    seq        UInt32 COMMENT 'the session''s log position within the epoch',
    event      LowCardinality(String) COMMENT 'session.started, phase.done, phase.failed, attempt.failed, log, session.ended …',
    level      LowCardinality(String),
    phase      LowCardinality(String),
    visit      UInt32,
    message    String CODEC(ZSTD(1)),
    status     LowCardinality(String),
    duration_s Float64,
    data       String CODEC(ZSTD(1)) COMMENT 'JSON: facts by name',
    worker_id  LowCardinality(String),
    INDEX by_session session_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = {engine}
PARTITION BY toMonday(at)
ORDER BY (toStartOfMinute(at), session_id, epoch, seq)
TTL toDateTime(at) + toIntervalDay({retention_days})
SETTINGS ttl_only_drop_parts = 1, min_bytes_for_full_part_storage = 1048576
COMMENT 'One row per event. A row sent twice has the same (session_id, epoch, seq).';

-- The cascades themselves, by content. Chunks, so that no row is larger than 1 MiB.
CREATE TABLE IF NOT EXISTS {database}.cascade_versions {on_cluster}
(
    bundle      String COMMENT 'content hash',
    chunk       UInt32,
    chunks      UInt32,
    cascade_id  String,
    entry       String COMMENT 'the cascade''s file within the bundle',
    bytes       UInt64 COMMENT 'of the whole bundle',
    data_base64 String EPHEMERAL,
    data        String DEFAULT base64Decode(data_base64) CODEC(ZSTD(3)),
    at          DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = {engine}
ORDER BY (bundle, chunk)
SETTINGS fsync_after_insert = {fsync}, fsync_part_directory = {fsync}, min_rows_to_fsync_after_merge = {fsync},
    min_bytes_for_full_part_storage = 1048576
COMMENT 'Every version of every cascade that was run, with all files it names.';

-- Files and large values that phases made, by content.
CREATE TABLE IF NOT EXISTS {database}.artifacts {on_cluster}
(
    sha256      String,
    chunk       UInt32,
    chunks      UInt32,
    bytes       UInt64 COMMENT 'of the whole artifact',
    data_base64 String EPHEMERAL,
    data        String DEFAULT base64Decode(data_base64) CODEC(ZSTD(1)),
    at          DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = {engine}
ORDER BY (sha256, chunk)
SETTINGS fsync_after_insert = {fsync}, fsync_part_directory = {fsync}, min_rows_to_fsync_after_merge = {fsync},
    min_bytes_for_full_part_storage = 1048576
COMMENT 'What phases left outside their rows, in chunks of 1 MiB.';

CREATE TABLE IF NOT EXISTS {database}.workers {on_cluster}
(
    worker_id String,
    event     LowCardinality(String) COMMENT 'started, stopped or obituary',
    host      String,
    pid       UInt32,
    version   String,
    tags      Array(String),
    reason    String,
    at        DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = {engine}
ORDER BY (worker_id, at)
SETTINGS fsync_after_insert = {fsync}, fsync_part_directory = {fsync}, min_rows_to_fsync_after_merge = {fsync},
    min_bytes_for_full_part_storage = 1048576
COMMENT 'What became of each worker: one row per event. A worker_id with an obituary stays dead.';

CREATE TABLE IF NOT EXISTS {database}.signals {on_cluster}
(
    signal_id  String,
    session_id String,
    name       String,
    payload    String CODEC(ZSTD(1)) COMMENT 'JSON',
    sent_by    String,
    at         DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = {engine}
ORDER BY (session_id, at)
SETTINGS fsync_after_insert = {fsync}, fsync_part_directory = {fsync}, min_rows_to_fsync_after_merge = {fsync},
    min_bytes_for_full_part_storage = 1048576
COMMENT 'What outsiders said to sessions. Having handled one is a checkpoint of its session.';
