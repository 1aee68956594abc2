-- Macros as in the numbered files. A view is made again whenever its text here changes.
CREATE OR REPLACE VIEW {database}.sessions_now {on_cluster} AS
WITH
    asked AS
    (
        SELECT session_id, cascade_id, bundle, input, tags, parent_session_id, requested_by, worker_id, created_at
        FROM {database}.sessions
        ORDER BY created_at
        LIMIT 1 BY session_id
    ),
    owned AS
    (
        SELECT session_id, max(epoch) AS highest
        FROM {database}.claims
        GROUP BY session_id
    ),
    told AS
    (
        SELECT session_id, argMax(kind, (epoch, seq)) AS newest_kind, argMax(phase, (epoch, seq)) AS newest_phase,
            argMax(JSONExtractString(body, 'status'), (epoch, seq)) AS newest_status, max(at) AS newest_at,
            uniqExactIf((epoch, seq), kind = 'phase') AS phases_ended, max(epoch) AS newest_epoch
        FROM {database}.checkpoints
        GROUP BY session_id
    )
SELECT
    asked.session_id AS session_id,
    asked.cascade_id AS cascade_id,
    multiIf(
        told.newest_kind = 'end', told.newest_status,
        told.newest_kind = 'suspend', 'waiting',
        told.newest_kind = 'release', 'queued',
        told.newest_kind != '' OR owned.highest > 0 OR asked.worker_id != '', 'running',
        'queued'
    ) AS status,
    told.newest_phase AS newest_phase,
    told.phases_ended AS phases_ended,
    greatest(told.newest_epoch, owned.highest) AS epoch,
    asked.created_at AS created_at,
    told.newest_at AS changed_at,
    if(told.newest_kind = 'end', dateDiff('millisecond', asked.created_at, told.newest_at) / 1000, NULL) AS took_s,
    asked.tags AS tags,
    asked.parent_session_id AS parent_session_id,
    asked.requested_by AS requested_by,
    asked.bundle AS bundle,
    asked.input AS input
FROM asked
LEFT JOIN owned ON owned.session_id = asked.session_id
LEFT JOIN told ON told.session_id = asked.session_id
COMMENT 'Which sessions are there, and what is each doing? One row per session, by the newest row of its history.';
