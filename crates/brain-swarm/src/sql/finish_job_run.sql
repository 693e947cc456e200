UPDATE brain_job_runs
SET status = CASE WHEN $3::text IS NULL THEN 'succeeded' ELSE 'failed' END, finished_at = clock_timestamp(), summary = $2, error = $3
WHERE run_id = $1
