-- name: get
-- A worker as it started, and what became of it: an obituary counts more than a stop, and neither is taken back.
SELECT worker_id, anyIf(host, event = 'started') AS host, anyIf(pid, event = 'started') AS pid,
    anyIf(version, event = 'started') AS version, anyIf(tags, event = 'started') AS tags,
    multiIf(countIf(event = 'obituary') > 0, 'obituary', countIf(event = 'stopped') > 0, 'stopped', 'started') AS last_event,
    anyIf(reason, event = 'obituary') AS reason, min(at) AS started_at
FROM workers
WHERE worker_id = {worker_id:String}
GROUP BY worker_id

-- name: dead
-- Which of these workers have an obituary.
SELECT DISTINCT worker_id
FROM workers
WHERE event = 'obituary' AND worker_id IN {worker_ids:Array(String)}
