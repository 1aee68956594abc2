-- name: of_sessions
-- All signals of these sessions, each once, oldest first. No time cursor: rows that became visible late would be
-- missed; the owner of a session knows which it handled.
SELECT signal_id, session_id, name, payload, sent_by, at
FROM signals
WHERE session_id IN {session_ids:Array(String)}
ORDER BY session_id, at, signal_id
LIMIT 1 BY session_id, signal_id
