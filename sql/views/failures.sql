CREATE OR REPLACE VIEW {database}.failures {on_cluster} AS
SELECT
    at,
    session_id,
    phase,
    kind AS row,
    JSONExtractString(body, 'error', 'kind') AS failure,
    JSONExtractString(body, 'error', 'message') AS message,
    JSONExtractString(body, 'error', 'hint') AS hint,
    JSONExtractInt(body, 'error', 'line') AS line,
    epoch,
    seq
FROM {database}.checkpoints
WHERE kind = 'attempt' OR (kind IN ('phase', 'end') AND JSONExtractString(body, 'status') = 'failed')
LIMIT 1 BY session_id, epoch, seq
COMMENT 'What failed, where and why? One row per failed attempt, phase and session; the column row says which of these.';
