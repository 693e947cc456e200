//! Writes everything that a batch changes, and commits, in one round trip.

use brain_connectivity::postgres;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{
    Batch, StoredEvent,
    fold::Changes,
    load::SwarmKey,
    transaction::{Parameters, Step, Transaction},
};
use crate::{
    dead_letters::NewDeadLetter,
    decide::{Agent, State, Task},
};

/// Returns the outbox id of each range of `changes.outbox`, in order.
pub(super) async fn write(
    transaction: &Transaction,
    batch: &Batch,
    changes: &Changes,
) -> Result<Vec<i64>, postgres::Error> {
    let events = EventColumns::of(&changes.events);
    let mut new_tasks = TaskColumns::default();
    let mut changed_tasks = TaskColumns::default();
    let mut agents = AgentColumns::default();
    for (key, (_, state)) in &changes.swarms {
        for id in &state.new_tasks {
            if let Some(task) = state.task(id) {
                new_tasks.push(key, state, task);
            }
        }
        for id in &state.changed_tasks {
            if let Some(task) = state.task(id)
                && !state.is_new(id)
            {
                changed_tasks.push(key, state, task);
            }
        }
        for id in &state.changed_agents {
            if let Some(agent) = state.agent(id) {
                agents.push(key, state, agent);
            }
        }
    }
    let sequence_tenants: Vec<&str> = changes.swarms.keys().map(|(tenant, _)| tenant.as_str()).collect();
    let sequence_swarms: Vec<&str> = changes.swarms.keys().map(|(_, swarm)| swarm.as_str()).collect();
    let sequence_values: Vec<i64> = changes.swarms.values().map(|(last_seq, _)| *last_seq).collect();
    let outbox_streams: Vec<&str> = changes.outbox.iter().map(|range| range.stream.as_str()).collect();
    let outbox_tenants: Vec<&str> = changes.outbox.iter().map(|range| range.tenant_id.as_str()).collect();
    let outbox_swarms: Vec<&str> = changes.outbox.iter().map(|range| range.swarm_id.as_str()).collect();
    let outbox_first: Vec<i64> = changes.outbox.iter().map(|range| range.first_seq).collect();
    let outbox_last: Vec<i64> = changes.outbox.iter().map(|range| range.last_seq).collect();
    let letters = LetterColumns::of(batch.dead_letters.iter().chain(&changes.duplicates));
    let letter_tenant = batch
        .dead_letters
        .iter()
        .chain(&changes.duplicates)
        .next()
        .map_or("", |letter| letter.tenant_id.as_str());
    let letter_stream = batch
        .dead_letters
        .iter()
        .chain(&changes.duplicates)
        .next()
        .map_or("", |letter| letter.stream.as_str());
    let cursor = batch.position.as_ref().and_then(|position| {
        position
            .cursor
            .map(|cursor| (position.stream.as_str(), cursor.to_string()))
    });
    let (cursor_stream, cursor_text) = cursor
        .as_ref()
        .map_or(("", ""), |(stream, text)| (stream, text.as_str()));

    let mut statements: Vec<(&str, Parameters<'_>)> = Vec::with_capacity(8);
    if !changes.outbox.is_empty() {
        let parameters: Parameters<'_> = vec![
            &outbox_streams,
            &outbox_tenants,
            &outbox_swarms,
            &outbox_first,
            &outbox_last,
        ];
        statements.push((include_str!("../sql/insert_outbox.sql"), parameters));
    }
    if !changes.events.is_empty() {
        statements.push((include_str!("../sql/insert_events.sql"), events.parameters()));
        let parameters: Parameters<'_> = vec![&sequence_tenants, &sequence_swarms, &sequence_values];
        statements.push((include_str!("../sql/update_sequences.sql"), parameters));
    }
    if !new_tasks.ids.is_empty() {
        statements.push((include_str!("../sql/insert_tasks.sql"), new_tasks.insert_parameters()));
    }
    if !changed_tasks.ids.is_empty() {
        statements.push((
            include_str!("../sql/update_tasks.sql"),
            changed_tasks.update_parameters(),
        ));
    }
    if !agents.ids.is_empty() {
        statements.push((include_str!("../sql/upsert_agents.sql"), agents.parameters()));
    }
    if !letters.ids.is_empty() {
        statements.push((
            include_str!("../sql/insert_dead_letters.sql"),
            letters.parameters(&letter_tenant, &letter_stream),
        ));
    }
    if cursor.is_some() {
        statements.push((
            include_str!("../sql/update_cursor.sql"),
            vec![&cursor_stream as _, &cursor_text],
        ));
    }
    let answers = transaction.pipeline(&statements, Step::Commit).await?;
    let Some(outbox) = answers.first().filter(|_| !changes.outbox.is_empty()) else {
        return Ok(Vec::new());
    };
    let id_of = |tenant: &str, swarm: &str| {
        outbox
            .iter()
            .find(|row| row.get::<_, &str>(1) == tenant && row.get::<_, &str>(2) == swarm)
            .map_or(0, |row| row.get(0))
    };
    Ok(changes
        .outbox
        .iter()
        .map(|range| id_of(range.tenant_id.as_str(), range.swarm_id.as_str()))
        .collect())
}

#[derive(Default)]
struct EventColumns<'a> {
    tenants: Vec<&'a str>,
    swarms: Vec<&'a str>,
    seqs: Vec<i64>,
    ids: Vec<&'a str>,
    kinds: Vec<&'a str>,
    versions: Vec<i16>,
    runs: Vec<&'a str>,
    actors: Vec<&'a str>,
    payloads: Vec<String>,
    correlations: Vec<Option<&'a str>>,
    causations: Vec<Option<&'a str>>,
    runbooks: Vec<Option<&'a str>>,
    traceparents: Vec<Option<&'a str>>,
    tracestates: Vec<Option<&'a str>>,
    entries: Vec<Option<String>>,
    notes: Vec<Option<&'a str>>,
    times: Vec<Timestamp>,
}

impl<'a> EventColumns<'a> {
    fn of(events: &'a [StoredEvent]) -> Self {
        let mut columns = Self::default();
        for stored in events {
            let event = &*stored.event;
            columns.tenants.push(event.tenant_id.as_str());
            columns.swarms.push(event.swarm_id.as_str());
            columns.seqs.push(stored.seq);
            columns.ids.push(event.id.as_str());
            columns.kinds.push(event.kind.as_str());
            columns.versions.push(event.schema_version);
            columns.runs.push(event.run_id.as_str());
            columns.actors.push(event.actor_id.as_str());
            columns.payloads.push(event.payload.to_string());
            columns.correlations.push(event.context.correlation_id.as_deref());
            columns
                .causations
                .push(event.context.causation_id.as_ref().map(AsRef::as_ref));
            columns.runbooks.push(event.context.runbook_id.as_deref());
            columns.traceparents.push(event.context.traceparent.as_deref());
            columns.tracestates.push(event.context.tracestate.as_deref());
            columns.entries.push(stored.entry.map(|entry| entry.to_string()));
            columns.notes.push(stored.note);
            columns.times.push(event.created_at);
        }
        columns
    }

    fn parameters(&self) -> Parameters<'_> {
        vec![
            &self.tenants,
            &self.swarms,
            &self.seqs,
            &self.ids,
            &self.kinds,
            &self.versions,
            &self.runs,
            &self.actors,
            &self.payloads,
            &self.correlations,
            &self.causations,
            &self.runbooks,
            &self.traceparents,
            &self.tracestates,
            &self.entries,
            &self.notes,
            &self.times,
        ]
    }
}

#[derive(Default)]
struct TaskColumns<'a> {
    tenants: Vec<&'a str>,
    swarms: Vec<&'a str>,
    ids: Vec<&'a str>,
    runs: Vec<&'a str>,
    statuses: Vec<&'a str>,
    assignees: Vec<Option<&'a str>>,
    roles: Vec<Option<&'a str>>,
    capabilities: Vec<Option<&'a str>>,
    priorities: Vec<i16>,
    attempts: Vec<i32>,
    max_attempts: Vec<i32>,
    inputs: Vec<Option<String>>,
    outputs: Vec<Option<String>>,
    errors: Vec<Option<&'a str>>,
    created_events: Vec<&'a str>,
    terminal_events: Vec<Option<&'a str>>,
}

impl<'a> TaskColumns<'a> {
    fn push(&mut self, key: &'a SwarmKey, state: &'a State, task: &'a Task) {
        self.tenants.push(key.0.as_str());
        self.swarms.push(key.1.as_str());
        self.ids.push(task.id.as_str());
        self.runs.push(task.run_id.as_str());
        self.statuses.push(task.status.as_str());
        self.assignees.push(task.assignee.as_ref().map(AsRef::as_ref));
        self.roles.push(task.role.as_deref());
        self.capabilities.push(task.capability.as_deref());
        self.priorities.push(task.priority);
        self.attempts.push(task.attempt);
        self.max_attempts.push(task.max_attempts);
        self.inputs.push(task.inputs.as_ref().map(ToString::to_string));
        self.outputs.push(task.outputs.as_ref().map(ToString::to_string));
        self.errors.push(task.error.as_deref());
        self.created_events.push(task.origin.event_id.as_str());
        self.terminal_events
            .push(state.terminal_events.get(&task.id).map(AsRef::as_ref));
    }

    fn insert_parameters(&self) -> Parameters<'_> {
        vec![
            &self.tenants,
            &self.swarms,
            &self.ids,
            &self.runs,
            &self.statuses,
            &self.assignees,
            &self.roles,
            &self.capabilities,
            &self.priorities,
            &self.attempts,
            &self.max_attempts,
            &self.inputs,
            &self.outputs,
            &self.errors,
            &self.created_events,
            &self.terminal_events,
        ]
    }

    fn update_parameters(&self) -> Parameters<'_> {
        vec![
            &self.tenants,
            &self.swarms,
            &self.ids,
            &self.runs,
            &self.statuses,
            &self.assignees,
            &self.attempts,
            &self.max_attempts,
            &self.outputs,
            &self.errors,
            &self.created_events,
            &self.terminal_events,
        ]
    }
}

#[derive(Default)]
struct AgentColumns<'a> {
    tenants: Vec<&'a str>,
    swarms: Vec<&'a str>,
    ids: Vec<&'a str>,
    runs: Vec<&'a str>,
    roles: Vec<&'a str>,
    capabilities: Vec<String>,
    capacities: Vec<Option<i32>>,
    statuses: Vec<&'static str>,
    loads: Vec<i32>,
    seen: Vec<bool>,
}

impl<'a> AgentColumns<'a> {
    fn push(&mut self, key: &'a SwarmKey, state: &State, agent: &'a Agent) {
        self.tenants.push(key.0.as_str());
        self.swarms.push(key.1.as_str());
        self.ids.push(agent.id.as_str());
        self.runs.push(agent.run_id.as_str());
        self.roles.push(&agent.role);
        self.capabilities
            .push(serde_json::Value::from(agent.capabilities.clone()).to_string());
        self.capacities.push(agent.capacity);
        self.statuses.push(if agent.live { "live" } else { "lost" });
        self.loads.push(agent.load);
        self.seen.push(state.seen_agents.contains(&agent.id));
    }

    fn parameters(&self) -> Parameters<'_> {
        vec![
            &self.tenants,
            &self.swarms,
            &self.ids,
            &self.runs,
            &self.roles,
            &self.capabilities,
            &self.capacities,
            &self.statuses,
            &self.loads,
            &self.seen,
        ]
    }
}

#[derive(Default)]
struct LetterColumns<'a> {
    ids: Vec<Uuid>,
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
    fn of(letters: impl Iterator<Item = &'a NewDeadLetter>) -> Self {
        let mut columns = Self::default();
        for letter in letters {
            let digest = Sha256::digest(&letter.raw);
            columns.ids.push(Uuid::now_v7());
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

    /// All letters of a batch come from one stream and so from one tenant's point of view.
    fn parameters<'b>(&'b self, tenant: &'b &'b str, stream: &'b &'b str) -> Parameters<'b> {
        vec![
            &self.ids,
            tenant,
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
