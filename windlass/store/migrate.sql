-- name: applied
-- What is done, with the newest checksum of each: the one query of a start with nothing to do.
SELECT kind, name, argMax(checksum, at) AS checksum, count() AS times
FROM schema_migrations
WHERE state = 'done'
GROUP BY kind, name

-- name: begun
-- Who claimed a file first.
SELECT starter
FROM schema_migrations
WHERE kind = {kind:String} AND name = {name:String} AND checksum = {checksum:String}
    AND attempt = {attempt:UInt32} AND state = 'begun'
ORDER BY _block_number
LIMIT 1

-- name: tables
-- Our tables as they really are: engine, partitioning and settings.
SELECT name, engine, partition_key, engine_full
FROM system.tables
WHERE database = {database:String} AND engine LIKE '%MergeTree'
