INSERT INTO brain_job_runs (run_id, job_name, status, started_at, summary)
VALUES ($1, $2, 'running', clock_timestamp(), $3)
