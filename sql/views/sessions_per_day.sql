CREATE OR REPLACE VIEW {database}.sessions_per_day {on_cluster} AS
SELECT
    toDate(created_at) AS day,
    cascade_id,
    count() AS sessions,
    countIf(status = 'completed') AS completed,
    countIf(status = 'failed') AS failed,
    countIf(status = 'cancelled') AS cancelled,
    countIf(status IN ('queued', 'running', 'waiting')) AS open,
    round(quantileIf(0.5)(took_s, took_s IS NOT NULL), 3) AS took_s_median,
    round(quantileIf(0.95)(took_s, took_s IS NOT NULL), 3) AS took_s_p95
FROM {database}.sessions_now
GROUP BY day, cascade_id
COMMENT 'How much ran each day, how did it end and how long did it take? By the day a session was asked for, in UTC.';
