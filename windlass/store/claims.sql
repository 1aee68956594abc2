-- name: highest
-- The highest epoch that anybody claimed; 0 when there is none.
SELECT greatest(
    (SELECT max(epoch) FROM claims WHERE session_id = {session_id:String}),
    (SELECT toUInt32(max(worker_id != '')) FROM sessions WHERE session_id = {session_id:String})
) AS epoch

-- name: read
-- Every claim that holds, by epoch: of several rows of one epoch the first. Epoch 1 may stand in the session's row.
SELECT epoch, argMin(worker_id, (_block_number, _block_offset)) AS worker_id,
    argMin(claim_id, (_block_number, _block_offset)) AS claim_id
FROM claims
WHERE session_id = {session_id:String}
GROUP BY epoch
ORDER BY epoch

-- name: from_session
-- The claim of epoch 1 that the session's own row carries, if it does.
SELECT worker_id
FROM sessions
WHERE session_id = {session_id:String} AND worker_id != ''
ORDER BY _block_number, _block_offset
LIMIT 1
