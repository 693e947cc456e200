//! The statements that are about the rows of all tenants, and why each may be.

/// A statement, or the strings of a Rust file, and the tables that it may name without their tenant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exception {
    pub(super) path: &'static str,
    pub(super) tables: &'static [&'static str],
    #[cfg_attr(not(test), allow(dead_code, reason = "it is for readers; a test asks for it"))]
    pub(super) reason: &'static str,
}

/// The doctor proves what holds of the whole database; only an operator may ask it.
const DOCTOR: &str = "the doctor looks at everything; whatever it joins, it joins within one tenant";

/// All of them.
pub(super) const EXCEPTIONS: &[Exception] = &[
    Exception {
        path: "crates/brain-connectivity/src/memory/sql/adopt_pgvector.sql",
        tables: &["swarm_memory"],
        reason: "changes the type of a column, which all rows share",
    },
    Exception {
        path: "crates/brain-connectivity/src/memory/sql/select_other_sizes.sql",
        tables: &["swarm_memory"],
        reason: "whether an index can be built depends on all rows of the column; the answer is one truth value",
    },
    Exception {
        path: "crates/brain-http/src/access/sql/revoke_token.sql",
        tables: &["brain_api_tokens"],
        reason: "the administrator of the installation revokes tokens of every tenant; others hand in their own",
    },
    Exception {
        path: "crates/brain-http/src/access/sessions.rs",
        tables: &["brain_sessions"],
        reason: "ends one session by the digest of its secret, and removes what is over, of all tenants at once",
    },
    Exception {
        path: "crates/brain-http/src/access/sql/select_session.sql",
        tables: &["brain_sessions", "brain_api_tokens"],
        reason: "the session says which tenant its holder is of: before it is found there is none; its token is of the same one",
    },
    Exception {
        path: "crates/brain-http/src/access/sql/select_token.sql",
        tables: &["brain_api_tokens"],
        reason: "the token says which tenant its holder is of: before it is found there is none",
    },
    Exception {
        path: "crates/brain-http/src/access/sql/select_token_page.sql",
        tables: &["brain_api_tokens"],
        reason: "the administrator of the installation lists tokens of every tenant; others hand in their own",
    },
    Exception {
        path: "crates/brain-http/src/access/sql/touch_token.sql",
        tables: &["brain_api_tokens"],
        reason: "by the id of a token that was found just before",
    },
    Exception {
        path: "crates/brain-http/src/idempotency/sql/delete_old_keys.sql",
        tables: &["brain_idempotency_keys"],
        reason: "removes what nobody may use any more, of all tenants at once",
    },
    Exception {
        path: "crates/brain-swarm/src/schema/registry.rs",
        tables: &["event_schemas"],
        reason: "the newest registration of all, by which a replica knows whether it has seen everything",
    },
    Exception {
        path: "crates/brain-swarm/src/skills.rs",
        tables: &["brain_skills"],
        reason: "a disk holds the trees of all tenants: what any of them has installed is not swept away; only digests are told",
    },
    Exception {
        path: "crates/brain-swarm/src/sql/select_audit_tenants.sql",
        tables: &["brain_audit_checkpoints", "brain_audit_heads", "brain_event_log"],
        reason: DOCTOR,
    },
    Exception {
        path: "crates/brain-swarm/src/sql/select_unsigned_audit_heads.sql",
        tables: &["brain_audit_heads"],
        reason: "the service signs the ends of the trails of all tenants, each by itself",
    },
    Exception {
        path: "crates/brain-swarm/src/sql/select_bus_gauges.sql",
        tables: &["swarm_outbox"],
        reason: "metrics: how many rows there are and how old the oldest is, and nothing of what is in them",
    },
    Exception {
        path: "crates/brain-swarm/src/sql/delete_old_quota_windows.sql",
        tables: &["brain_capability_quota"],
        reason: "removes windows that are over, of all tenants at once",
    },
    Exception {
        path: "crates/brain-swarm/src/sql/select_kill_switches.sql",
        tables: &["brain_capability_kill_switches"],
        reason: "the switch of the installation concerns every tenant; beside it the tenant's own is asked for",
    },
    Exception {
        path: "crates/brain-swarm/src/sql/select_overdue_executions.sql",
        tables: &["brain_capability_executions"],
        reason: "the sweep gives up what is overdue, of whichever tenant; each is then changed within its own",
    },
    Exception {
        path: "crates/brain-swarm/src/sql/select_schema_changes.sql",
        tables: &["event_schemas"],
        reason: "which tenants registered something since, so that what is remembered of them is forgotten",
    },
    Exception {
        path: "crates/brain-swarm/src/sql/claim_deliveries.sql",
        tables: &["brain_webhook_deliveries"],
        reason: "the notices of all tenants go to one receiver; whatever is due is taken, with the tenant that it is of",
    },
    Exception {
        path: "crates/brain-swarm/src/sql/select_next_delivery.sql",
        tables: &["brain_webhook_deliveries"],
        reason: "when the next notice of anybody is due, and nothing of what is in it",
    },
    Exception {
        path: "crates/brain-swarm/src/sql/delete_dead_letters.sql",
        tables: &["swarm_dead_letters"],
        reason: "retention: by ids that select_old_dead_letters.sql found in the same transaction",
    },
    Exception {
        path: "crates/brain-swarm/src/sql/delete_outbox.sql",
        tables: &["swarm_outbox"],
        reason: "the relay of a stream: by ids of rows that it has just relayed",
    },
    Exception {
        path: "crates/brain-swarm/src/sql/select_bus_health.sql",
        tables: &["swarm_outbox"],
        reason: "health: the age of the oldest row, and nothing of what is in it",
    },
    Exception {
        path: "crates/brain-swarm/src/sql/select_due_schedules.sql",
        tables: &["swarm_schedules"],
        reason: "the service fires the schedules of all tenants, each into its own",
    },
    Exception {
        path: "crates/brain-swarm/src/sql/select_entry_fates.sql",
        tables: &["swarm_dead_letters"],
        reason: "the doctor: a dead letter is found by its stream entry, which is of all tenants",
    },
    Exception {
        path: "crates/brain-swarm/src/sql/select_lost_agents.sql",
        tables: &["swarm_agents"],
        reason: "the sweep looks for silent agents of all tenants; each event goes into its own",
    },
    Exception {
        path: "crates/brain-swarm/src/sql/select_old_dead_letters.sql",
        tables: &["swarm_dead_letters"],
        reason: "retention: age alone decides, and nothing but ids is read",
    },
    Exception {
        path: "crates/brain-swarm/src/sql/select_outbox.sql",
        tables: &["swarm_outbox"],
        reason: "the relay of a stream sends what all tenants have for it, each entry with its tenant",
    },
    Exception {
        path: "crates/brain-swarm/src/sql/select_prunable_swarms.sql",
        tables: &["swarm_sequences"],
        reason: "retention walks over the swarms of all tenants; what is theirs is read by their keys",
    },
    Exception {
        path: "crates/brain-swarm/src/sql/select_unsettled_swarms.sql",
        tables: &["swarm_sequences"],
        reason: "the sweep walks over the swarms of all tenants; what is theirs is read by their keys",
    },
    Exception {
        path: "crates/brain-swarm/src/doctor.rs",
        tables: &[
            "brain_capability_executions",
            "swarm_agents",
            "swarm_budgets",
            "swarm_events",
            "swarm_outbox",
            "swarm_sequences",
            "swarm_task_dependencies",
            "swarm_tasks",
        ],
        reason: DOCTOR,
    },
    Exception {
        path: "crates/brain-swarm/src/sql/violations_executions.sql",
        tables: &["brain_capability_executions", "brain_capability_proposals"],
        reason: DOCTOR,
    },
    Exception {
        path: "crates/brain-swarm/src/sql/violations_assignee.sql",
        tables: &["swarm_tasks"],
        reason: DOCTOR,
    },
    Exception {
        path: "crates/brain-swarm/src/sql/violations_budgets.sql",
        tables: &["swarm_budget_reservations", "swarm_budgets", "swarm_tasks"],
        reason: DOCTOR,
    },
    Exception {
        path: "crates/brain-swarm/src/sql/violations_cause.sql",
        tables: &["swarm_events"],
        reason: DOCTOR,
    },
    Exception {
        path: "crates/brain-swarm/src/sql/violations_dependencies.sql",
        tables: &["swarm_task_dependencies", "swarm_tasks"],
        reason: DOCTOR,
    },
    Exception {
        path: "crates/brain-swarm/src/sql/violations_fencing.sql",
        tables: &["swarm_events", "swarm_tasks"],
        reason: DOCTOR,
    },
    Exception {
        path: "crates/brain-swarm/src/sql/violations_load.sql",
        tables: &["swarm_agents", "swarm_concurrency", "swarm_runs", "swarm_tasks"],
        reason: DOCTOR,
    },
    Exception {
        path: "crates/brain-swarm/src/sql/violations_outbox.sql",
        tables: &["swarm_outbox"],
        reason: DOCTOR,
    },
    Exception {
        path: "crates/brain-swarm/src/sql/violations_seq.sql",
        tables: &["swarm_events", "swarm_sequences"],
        reason: DOCTOR,
    },
    Exception {
        path: "crates/brain-swarm/src/sql/violations_terminal.sql",
        tables: &["swarm_events", "swarm_tasks"],
        reason: DOCTOR,
    },
];
