UPDATE brain_api_tokens
SET last_used_at = clock_timestamp()
WHERE token_id = $1 AND (last_used_at IS NULL OR last_used_at < clock_timestamp() - interval '1 minute')
