CREATE OR REPLACE VIEW {database}.phases {on_cluster} AS
SELECT
    ended.at AS at,
    ended.session_id AS session_id,
    asked.cascade_id AS cascade_id,
    ended.epoch AS epoch,
    ended.seq AS seq,
    ended.phase AS phase,
    ended.visit AS visit,
    JSONExtractString(ended.body, 'status') AS status,
    JSONExtractFloat(ended.body, 'duration_s') AS duration_s,
    JSONExtractUInt(ended.body, 'attempts') AS attempts,
    JSONExtractString(ended.body, 'error', 'message') AS error,
    ended.worker_id AS worker_id
FROM
(
    SELECT * FROM {database}.checkpoints WHERE kind = 'phase' LIMIT 1 BY session_id, epoch, seq
) AS ended
LEFT JOIN
(
    SELECT session_id, any(cascade_id) AS cascade_id FROM {database}.sessions GROUP BY session_id
) AS asked ON asked.session_id = ended.session_id
COMMENT 'How did each phase end, and how long did it take? One row per ended phase, also those that a later owner did not adopt.';
