-- One whose answer never came is begun again when nobody can be working on it any more.
INSERT INTO brain_idempotency_keys AS k (tenant_id, principal_id, idempotency_key, request_sha256)
VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant_id, principal_id, idempotency_key) DO UPDATE
SET started_at = clock_timestamp(), request_sha256 = EXCLUDED.request_sha256, status = NULL, content_type = NULL, body = NULL
WHERE (k.status IS NULL AND k.request_sha256 = EXCLUDED.request_sha256 AND k.started_at < clock_timestamp() - $5::bigint * interval '1 millisecond')
    OR k.started_at < clock_timestamp() - $6::bigint * interval '1 millisecond'
RETURNING started_at
