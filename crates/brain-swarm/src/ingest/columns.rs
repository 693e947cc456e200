//! Rows as columns: what a statement takes as arrays, one for each column.

use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{StoredEvent, load::SwarmKey, transaction::Parameters};
use crate::{
    dead_letters::NewDeadLetter,
    decide::{Agent, Backoff, Budget, Key, Reservation, Run, State, Task, Wait},
};

/// A struct of vectors, whose fields are the parameters of a statement in this order.
macro_rules! columns {
    ($name:ident { $($field:ident: $kind:ty,)+ }) => {
        #[derive(Default)]
        pub(super) struct $name<'a> {
            $($field: Vec<$kind>,)+
            lifetime: std::marker::PhantomData<&'a ()>,
        }

        impl $name<'_> {
            #[allow(dead_code, reason = "some tables are always written")]
            pub(super) fn is_empty(&self) -> bool {
                [$(self.$field.is_empty()),+].into_iter().all(|empty| empty)
            }

            #[allow(dead_code, reason = "some tables are written with other parameters too")]
            pub(super) fn parameters(&self) -> Parameters<'_> {
                vec![$(&self.$field),+]
            }
        }
    };
}

columns!(EventColumns {
    tenants: &'a str,
    swarms: &'a str,
    seqs: i64,
    ids: &'a str,
    kinds: &'a str,
    versions: i16,
    runs: &'a str,
    actors: &'a str,
    payloads: String,
    correlations: Option<&'a str>,
    causations: Option<&'a str>,
    runbooks: Option<&'a str>,
    traceparents: Option<&'a str>,
    tracestates: Option<&'a str>,
    entries: Option<String>,
    notes: Option<&'a str>,
    times: Timestamp,
});

impl<'a> EventColumns<'a> {
    pub(super) fn of(events: &'a [StoredEvent]) -> Self {
        let mut columns = Self::default();
        for stored in events {
            let event = &*stored.event;
            let context = &event.context;
            columns.tenants.push(event.tenant_id.as_str());
            columns.swarms.push(event.swarm_id.as_str());
            columns.seqs.push(stored.seq);
            columns.ids.push(event.id.as_str());
            columns.kinds.push(event.kind.as_str());
            columns.versions.push(event.schema_version);
            columns.runs.push(event.run_id.as_str());
            columns.actors.push(event.actor_id.as_str());
            columns.payloads.push(event.payload.to_string());
            columns.correlations.push(context.correlation_id.as_deref());
            columns
                .causations
                .push(context.causation_id.as_ref().map(AsRef::as_ref));
            columns.runbooks.push(context.runbook_id.as_deref());
            columns.traceparents.push(context.traceparent.as_deref());
            columns.tracestates.push(context.tracestate.as_deref());
            columns.entries.push(stored.entry.map(|entry| entry.to_string()));
            columns.notes.push(stored.note);
            columns.times.push(event.created_at);
        }
        columns
    }
}

columns!(TaskColumns {
    tenants: &'a str,
    swarms: &'a str,
    ids: &'a str,
    runs: &'a str,
    statuses: &'a str,
    waits: Option<&'a str>,
    run_ats: Option<Timestamp>,
    assignees: Option<&'a str>,
    attempts: i32,
    max_attempts: i32,
    tokens: i64,
    lease_ms: Option<i32>,
    lease_expiries: Option<Timestamp>,
    reserved: i64,
    unmet: i32,
    outputs: Option<String>,
    errors: Option<&'a str>,
    progress: Option<String>,
    histories: Option<String>,
    started: Option<Timestamp>,
    created_events: &'a str,
    terminal_events: Option<&'a str>,
});

impl<'a> TaskColumns<'a> {
    pub(super) fn push(&mut self, key: &'a SwarmKey, state: &'a State, task: &'a Task) {
        self.tenants.push(key.0.as_str());
        self.swarms.push(key.1.as_str());
        self.ids.push(task.id.as_str());
        self.runs.push(task.run_id.as_str());
        self.statuses.push(task.status.as_str());
        self.waits.push(task.waiting_for.map(Wait::as_str));
        self.run_ats.push(task.run_at);
        self.assignees.push(task.assignee.as_ref().map(AsRef::as_ref));
        self.attempts.push(task.attempt);
        self.max_attempts.push(task.max_attempts);
        self.tokens.push(task.token.0);
        self.lease_ms.push(task.lease.map(|lease| lease.ms));
        self.lease_expiries.push(task.lease.map(|lease| lease.expires_at));
        self.reserved.push(task.reserved_units);
        self.unmet.push(task.unmet);
        self.outputs.push(task.outputs.as_ref().map(ToString::to_string));
        self.errors.push(task.error.as_deref());
        self.progress.push(task.progress.as_ref().map(ToString::to_string));
        let history = (!task.ended_attempts.is_empty()).then(|| Value::from(task.ended_attempts.clone()).to_string());
        self.histories.push(history);
        self.started.push(task.started_at);
        self.created_events.push(task.origin.event_id.as_str());
        self.terminal_events
            .push(state.terminal_events.get(&task.id).map(AsRef::as_ref));
    }
}

columns!(NewTaskColumns {
    roles: Option<&'a str>,
    capabilities: Option<&'a str>,
    wanted_agents: Option<&'a str>,
    priorities: i16,
    positions: i64,
    lanes: String,
    keys: Option<&'a str>,
    parents: Option<&'a str>,
    budgets: Option<&'a str>,
    policies: &'a str,
    backoffs: Option<String>,
    inputs: Option<String>,
    correlations: Option<&'a str>,
    runbooks: Option<&'a str>,
    traceparents: Option<&'a str>,
    tracestates: Option<&'a str>,
});

impl<'a> NewTaskColumns<'a> {
    pub(super) fn push(&mut self, task: &'a Task) {
        let context = &task.origin.context;
        self.roles.push(task.role.as_deref());
        self.capabilities.push(task.capability.as_deref());
        self.wanted_agents.push(task.wanted_agent.as_ref().map(AsRef::as_ref));
        self.priorities.push(task.priority);
        self.positions.push(task.position);
        self.lanes.push(task.lane());
        self.keys.push(task.concurrency_key.as_deref());
        self.parents.push(task.parent.as_ref().map(AsRef::as_ref));
        self.budgets.push(task.budget.as_ref().map(AsRef::as_ref));
        self.policies.push(task.policy.as_str());
        let backoff = (task.backoff != Backoff::default()).then(|| serde_json::to_string(&task.backoff).ok());
        self.backoffs.push(backoff.flatten());
        self.inputs.push(task.inputs.as_ref().map(ToString::to_string));
        self.correlations.push(context.correlation_id.as_deref());
        self.runbooks.push(context.runbook_id.as_deref());
        self.traceparents.push(context.traceparent.as_deref());
        self.tracestates.push(context.tracestate.as_deref());
    }
}

columns!(AgentColumns {
    tenants: &'a str,
    swarms: &'a str,
    ids: &'a str,
    runs: &'a str,
    roles: &'a str,
    capabilities: String,
    capacities: Option<i32>,
    statuses: &'static str,
    loads: i32,
    assignments: &'static str,
    draining: bool,
    seen: bool,
});

impl<'a> AgentColumns<'a> {
    pub(super) fn push(&mut self, key: &'a SwarmKey, state: &State, agent: &'a Agent) {
        self.tenants.push(key.0.as_str());
        self.swarms.push(key.1.as_str());
        self.ids.push(agent.id.as_str());
        self.runs.push(agent.run_id.as_str());
        self.roles.push(&agent.role);
        self.capabilities
            .push(Value::from(agent.capabilities.clone()).to_string());
        self.capacities.push(agent.capacity);
        self.statuses.push(if agent.live { "live" } else { "lost" });
        self.loads.push(agent.load);
        self.assignments.push(if agent.pulls { "pull" } else { "push" });
        self.draining.push(agent.draining);
        self.seen.push(state.touched.seen.contains(&agent.id));
    }
}

columns!(RunColumns {
    tenants: &'a str,
    swarms: &'a str,
    ids: &'a str,
    states: &'static str,
    first_seqs: i64,
    created: i64,
    completed: i64,
    failed: i64,
    cancelled: i64,
    summaries: Option<String>,
    started: Option<Timestamp>,
    finished: Option<Timestamp>,
});

impl<'a> RunColumns<'a> {
    pub(super) fn push(&mut self, key: &'a SwarmKey, run: &'a Run) {
        self.tenants.push(key.0.as_str());
        self.swarms.push(key.1.as_str());
        self.ids.push(run.id.as_str());
        self.states.push(run.state.as_str());
        self.first_seqs.push(run.first_seq);
        self.created.push(run.tasks.created);
        self.completed.push(run.tasks.completed);
        self.failed.push(run.tasks.failed);
        self.cancelled.push(run.tasks.cancelled);
        self.summaries.push(run.summary.as_ref().map(ToString::to_string));
        self.started.push(run.started_at);
        self.finished.push(run.finished_at);
    }
}

columns!(KeyColumns {
    tenants: &'a str,
    swarms: &'a str,
    names: &'a str,
    limits: i32,
    held: i32,
    ready: i32,
    served: bool,
});

impl<'a> KeyColumns<'a> {
    pub(super) fn push(&mut self, swarm: &'a SwarmKey, name: &'a str, key: Key, served: bool) {
        self.tenants.push(swarm.0.as_str());
        self.swarms.push(swarm.1.as_str());
        self.names.push(name);
        self.limits.push(key.limit);
        self.held.push(key.held);
        self.ready.push(key.ready);
        self.served.push(served);
    }
}

columns!(BudgetColumns {
    tenants: &'a str,
    swarms: &'a str,
    ids: &'a str,
    units: &'a str,
    max_units: i64,
    reserved: i64,
    spent: i64,
    states: &'static str,
});

impl<'a> BudgetColumns<'a> {
    pub(super) fn push(&mut self, key: &'a SwarmKey, budget: &'a Budget) {
        self.tenants.push(key.0.as_str());
        self.swarms.push(key.1.as_str());
        self.ids.push(budget.id.as_str());
        self.units.push(&budget.unit);
        self.max_units.push(budget.max_units);
        self.reserved.push(budget.reserved);
        self.spent.push(budget.spent);
        self.states.push(budget.state.as_str());
    }
}

columns!(ReservationColumns {
    tenants: &'a str,
    swarms: &'a str,
    ids: &'a str,
    budgets: &'a str,
    tasks: &'a str,
    tokens: i64,
    units: i64,
    settled: Option<i64>,
});

impl<'a> ReservationColumns<'a> {
    pub(super) fn push(&mut self, key: &'a SwarmKey, reservation: &'a Reservation) {
        self.tenants.push(key.0.as_str());
        self.swarms.push(key.1.as_str());
        self.ids.push(&reservation.id);
        self.budgets.push(reservation.budget.as_str());
        self.tasks.push(reservation.task.as_str());
        self.tokens.push(reservation.token.0);
        self.units.push(reservation.units);
        self.settled.push(reservation.settled);
    }
}

columns!(OverColumns {
    tenants: &'a str,
    swarms: &'a str,
    tasks: &'a str,
    spent: bool,
});

columns!(EdgeColumns {
    tenants: &'a str,
    swarms: &'a str,
    tasks: &'a str,
    dependencies: &'a str,
    satisfied: bool,
});

columns!(DoneColumns {
    tenants: &'a str,
    swarms: &'a str,
    tasks: &'a str,
    dependencies: &'a str,
});

impl<'a> OverColumns<'a> {
    pub(super) fn extend(&mut self, key: &'a SwarmKey, state: &'a State) {
        for (task, spent) in &state.touched.closed_reservations {
            self.tenants.push(key.0.as_str());
            self.swarms.push(key.1.as_str());
            self.tasks.push(task.as_str());
            self.spent.push(*spent);
        }
    }
}

impl<'a> EdgeColumns<'a> {
    pub(super) fn extend(&mut self, key: &'a SwarmKey, state: &'a State) {
        for (task, on, satisfied) in &state.touched.edges {
            self.tenants.push(key.0.as_str());
            self.swarms.push(key.1.as_str());
            self.tasks.push(task.as_str());
            self.dependencies.push(on.as_str());
            self.satisfied.push(*satisfied);
        }
    }
}

impl<'a> DoneColumns<'a> {
    pub(super) fn extend(&mut self, key: &'a SwarmKey, state: &'a State) {
        for (task, on) in &state.touched.satisfied {
            self.tenants.push(key.0.as_str());
            self.swarms.push(key.1.as_str());
            self.tasks.push(task.as_str());
            self.dependencies.push(on.as_str());
        }
    }
}

#[derive(Default)]
pub(super) struct LetterColumns<'a> {
    ids: Vec<Uuid>,
    tenants: Vec<&'a str>,
    entries: Vec<String>,
    digests: Vec<String>,
    reasons: Vec<&'static str>,
    details: Vec<&'a str>,
    raws: Vec<&'a [u8]>,
    deliveries: Vec<i32>,
    swarms: Vec<Option<&'a str>>,
    events: Vec<Option<&'a str>>,
    kinds: Vec<Option<&'a str>>,
}

impl<'a> LetterColumns<'a> {
    pub(super) fn of(letters: impl Iterator<Item = &'a NewDeadLetter>) -> Self {
        let mut columns = Self::default();
        for letter in letters {
            let digest = Sha256::digest(&letter.raw);
            columns.ids.push(Uuid::now_v7());
            columns.tenants.push(letter.tenant_id.as_str());
            columns.entries.push(letter.entry.to_string());
            columns
                .digests
                .push(digest.iter().map(|byte| format!("{byte:02x}")).collect());
            columns.reasons.push(letter.reason.as_str());
            columns.details.push(&letter.detail);
            columns.raws.push(&letter.raw);
            columns.deliveries.push(letter.deliveries);
            columns.swarms.push(letter.swarm_id.as_ref().map(AsRef::as_ref));
            columns.events.push(letter.event_id.as_ref().map(AsRef::as_ref));
            columns.kinds.push(letter.event_type.as_deref());
        }
        columns
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// All letters of a batch come from one stream, but not of one tenant.
    pub(super) fn parameters<'b>(&'b self, stream: &'b &'b str) -> Parameters<'b> {
        vec![
            &self.ids,
            &self.tenants,
            stream,
            &self.entries,
            &self.digests,
            &self.reasons,
            &self.details,
            &self.raws,
            &self.deliveries,
            &self.swarms,
            &self.events,
            &self.kinds,
        ]
    }
}
