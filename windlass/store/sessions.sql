-- name: get
-- One session. Copies of its row may stand there; the first is the one that counts.
SELECT session_id, cascade_id, bundle, input, grants, priority, tags, parent_session_id, parent_phase, depth,
    idempotency_key, requested_by, worker_id, submission_id, created_at
FROM sessions
WHERE session_id = {session_id:String}
ORDER BY _block_number, _block_offset
LIMIT 1

-- name: by_key
-- The session that stands under an idempotency key: whoever was first.
SELECT session_id, cascade_id, bundle, input, grants, priority, tags, parent_session_id, parent_phase, depth,
    idempotency_key, requested_by, worker_id, submission_id, created_at
FROM sessions
WHERE idempotency_key = {key:String}
ORDER BY _block_number, _block_offset
LIMIT 1

-- name: page
-- One page of sessions, newest first. The inner query reads two small columns only. A session's status is the
-- kind and status of the last row of its highest epoch: close enough for a list; `get` and `snapshot` are exact.
WITH page AS
(
    SELECT session_id, min(created_at) AS since
    FROM sessions
    WHERE ({cascade_id:String} = '' OR cascade_id = {cascade_id:String})
    GROUP BY session_id
    HAVING (since, session_id) < (toDateTime64({before:String}, 6, 'UTC'), {before_id:String})
    ORDER BY since DESC, session_id DESC
    LIMIT {scan:UInt32}
)
SELECT s.session_id AS session_id, s.cascade AS cascade_id, s.parent AS parent_session_id,
    s.worker AS worker_id, page.since AS created_at, last.last_kind AS kind, last.end_status AS end_status,
    last.last_phase AS phase, last.last_at AS changed_at, last.phases AS phases, claims_of.highest AS claimed_epoch
FROM page
INNER JOIN
(
    SELECT session_id, any(cascade_id) AS cascade, any(parent_session_id) AS parent, any(worker_id) AS worker
    FROM sessions WHERE session_id IN (SELECT session_id FROM page) GROUP BY session_id
) AS s ON s.session_id = page.session_id
LEFT JOIN
(
    SELECT session_id, argMax(kind, (epoch, seq)) AS last_kind, argMax(phase, (epoch, seq)) AS last_phase,
        argMax(JSONExtractString(body, 'status'), (epoch, seq)) AS end_status, max(at) AS last_at,
        uniqExactIf((epoch, seq), kind = 'phase') AS phases
    FROM checkpoints WHERE session_id IN (SELECT session_id FROM page) GROUP BY session_id
) AS last ON last.session_id = page.session_id
LEFT JOIN
(
    SELECT session_id, max(epoch) AS highest
    FROM claims WHERE session_id IN (SELECT session_id FROM page) GROUP BY session_id
) AS claims_of ON claims_of.session_id = page.session_id
ORDER BY created_at DESC, session_id DESC
