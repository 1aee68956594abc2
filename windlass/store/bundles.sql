-- name: has
-- How many chunks of a bundle are there.
SELECT uniqExact(chunk) AS there, any(chunks) AS chunks
FROM cascade_versions
WHERE bundle = {bundle:String}

-- name: get
-- A run of chunks of a bundle, each once.
SELECT chunk, chunks, base64Encode(data) AS data
FROM cascade_versions
WHERE bundle = {bundle:String} AND chunk >= {first:UInt32} AND chunk < {end:UInt32}
ORDER BY chunk
LIMIT 1 BY chunk

-- name: entry
-- The cascade's own file within a bundle.
SELECT entry
FROM cascade_versions
WHERE bundle = {bundle:String}
LIMIT 1
