-- name: read
-- All rows of a session, one of each (epoch, seq): copies are resends of the same row.
SELECT session_id, epoch, seq, kind, phase, visit, body, base_epoch, base_seq, worker_id, at
FROM checkpoints
WHERE session_id = {session_id:String}
ORDER BY epoch, seq
LIMIT 1 BY epoch, seq
