-- Keeps the session, and of those of the same token only the newest.
WITH kept AS (
    SELECT session_sha256
    FROM brain_sessions
    WHERE tenant_id = $2 AND token_id IS NOT DISTINCT FROM $3 AND admin_sha256 IS NOT DISTINCT FROM $4
    ORDER BY created_at DESC
    LIMIT $6),
gone AS (
    DELETE FROM brain_sessions
    WHERE tenant_id = $2 AND token_id IS NOT DISTINCT FROM $3 AND admin_sha256 IS NOT DISTINCT FROM $4
        AND session_sha256 NOT IN (SELECT session_sha256 FROM kept))
INSERT INTO brain_sessions (session_sha256, tenant_id, token_id, admin_sha256, expires_at)
VALUES ($1, $2, $3, $4, $5)
