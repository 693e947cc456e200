-- Why: maintenance jobs (retention, sweeps, backups) leave a record that an operator can read.
CREATE TABLE brain_job_runs (
    run_id      uuid PRIMARY KEY,
    job_name    text NOT NULL CHECK (job_name <> ''),
    status      text NOT NULL CHECK (status IN ('running', 'succeeded', 'failed')),
    started_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    summary     jsonb NOT NULL DEFAULT '{}',
    error       text
);

CREATE INDEX brain_job_runs_by_job ON brain_job_runs (job_name, started_at DESC);
