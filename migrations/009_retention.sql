-- Why: old rows are removed in bounded batches. What is gone of a swarm's history is always a beginning of it, and the swarm says
-- how much. Nothing here is written when events are stored: the indexes hold only what has ended.
ALTER TABLE swarm_sequences
    -- Events 1 to pruned_seq are gone.
    ADD COLUMN pruned_seq bigint NOT NULL DEFAULT 0,
    ADD CONSTRAINT swarm_sequences_pruned CHECK (pruned_seq BETWEEN 0 AND last_seq);

-- A run goes when as many of its tasks are gone as it had.
ALTER TABLE swarm_runs
    ADD COLUMN tasks_pruned bigint NOT NULL DEFAULT 0;

CREATE INDEX swarm_runs_ended ON swarm_runs (tenant_id, swarm_id, finished_at) WHERE state <> 'open';

-- By the time of creation, which no reservation changes.
CREATE INDEX swarm_budgets_by_age ON swarm_budgets (created_at, swarm_id, tenant_id);

-- Whether a budget still has tasks that ended; the open ones have an index already.
CREATE INDEX swarm_tasks_ended_by_budget ON swarm_tasks (budget_id, swarm_id, tenant_id)
    WHERE status IN ('completed', 'failed', 'cancelled') AND budget_id IS NOT NULL;

-- What goes with its task.
CREATE INDEX swarm_budget_reservations_settled ON swarm_budget_reservations (task_id, swarm_id, tenant_id)
    WHERE settled IS NOT NULL;
