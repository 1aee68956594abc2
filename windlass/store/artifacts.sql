-- name: has
-- How many chunks of an artifact are there, and how large it is.
SELECT uniqExact(chunk) AS there, any(chunks) AS chunks, any(bytes) AS bytes
FROM artifacts
WHERE sha256 = {sha256:String}

-- name: get
-- A run of chunks of an artifact, each once.
SELECT chunk, chunks, base64Encode(data) AS data
FROM artifacts
WHERE sha256 = {sha256:String} AND chunk >= {first:UInt32} AND chunk < {end:UInt32}
ORDER BY chunk
LIMIT 1 BY chunk
