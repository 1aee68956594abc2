-- name: tail
-- A session's events after a position, each once. The cursor is the owner's own count, so no late row is missed.
SELECT session_id, cascade_id, epoch, seq, event, level, phase, visit, message, status, duration_s, data, worker_id, at
FROM unified_logs
WHERE session_id = {session_id:String} AND (epoch, seq) > ({epoch:UInt32}, {seq:UInt32})
ORDER BY epoch, seq
LIMIT 1 BY epoch, seq
LIMIT {limit:UInt32}
