//! Reads, under the lock of each swarm, what the decisions of a batch need.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use brain_connectivity::postgres;
use tokio_postgres::Row;

use super::{
    Batch, Error, EventKey, SETTLE_LIMIT,
    transaction::{Parameters, Step, Transaction},
};
use crate::{
    decide::{self, Agent, Origin, State, Task, TaskStatus},
    event::{Context, EventType},
    ids::{ActorId, EntryId, EventId, RunId, SwarmId, TaskId, TenantId},
};

pub(super) type SwarmKey = (TenantId, SwarmId);

/// What is stored already under the id of an input.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) seq: i64,
    pub(super) entry: Option<EntryId>,
}

/// The state of every swarm that a batch touches.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) swarms: BTreeMap<SwarmKey, (i64, State)>,
    pub(super) known: HashMap<EventKey, Known>,
    pub(super) settle: BTreeSet<SwarmKey>,
}

/// Begins the transaction and reads.
pub(super) async fn load(transaction: &Transaction, batch: &Batch) -> Result<Loaded, Error> {
    let mut settle: BTreeSet<SwarmKey> = batch.settle.iter().cloned().collect();
    let mut swarms = settle.clone();
    let mut mentioned: BTreeSet<&str> = BTreeSet::new();
    let mut lost: BTreeSet<&str> = BTreeSet::new();
    let mut wanted_tasks: BTreeSet<(&TenantId, &SwarmId, TaskId)> = BTreeSet::new();
    for input in &batch.inputs {
        let event = &*input.event;
        let key = (event.tenant_id.clone(), event.swarm_id.clone());
        if matches!(event.kind, EventType::AgentLost | EventType::RunStarted) && !settle.contains(&key) {
            settle.insert(key.clone());
        }
        if !swarms.contains(&key) {
            swarms.insert(key);
        }
        mentioned.insert(event.actor_id.as_str());
        for field in ["agentId", "assignedAgentId"] {
            if let Some(agent) = event.payload.get(field).and_then(serde_json::Value::as_str) {
                mentioned.insert(agent);
                if event.kind == EventType::AgentLost {
                    lost.insert(agent);
                }
            }
        }
        if !matches!(event.kind, EventType::Custom(_))
            && let Some(task) = decide::task_id(event)
        {
            wanted_tasks.insert((&event.tenant_id, &event.swarm_id, task));
        }
    }

    let swarm_tenants: Vec<&str> = swarms.iter().map(|(tenant, _)| tenant.as_str()).collect();
    let swarm_ids: Vec<&str> = swarms.iter().map(|(_, swarm)| swarm.as_str()).collect();
    let event_ids: Vec<&str> = batch.inputs.iter().map(|input| input.event.id.as_str()).collect();
    let task_ids: Vec<&str> = wanted_tasks.iter().map(|(.., task)| task.as_str()).collect();
    let mentioned: Vec<&str> = mentioned.into_iter().collect();
    let lost: Vec<&str> = lost.into_iter().collect();
    let settle_tenants: Vec<&str> = settle.iter().map(|(tenant, _)| tenant.as_str()).collect();
    let settle_swarms: Vec<&str> = settle.iter().map(|(_, swarm)| swarm.as_str()).collect();
    // In a batch of events an agent may just be joining, which the database does not know yet.
    let only_fitting = batch.inputs.is_empty();
    let (stream, owner, token) = batch.position.as_ref().map_or(("", "", 0), |position| {
        (position.stream.as_str(), position.owner.as_str(), position.token.0)
    });

    let mut statements: Vec<(&str, Parameters<'_>)> = Vec::with_capacity(6);
    if batch.position.is_some() {
        statements.push((
            include_str!("../sql/lock_stream.sql"),
            vec![&stream as _, &owner, &token],
        ));
    }
    statements.push((
        include_str!("../sql/lock_swarms.sql"),
        vec![&swarm_tenants as _, &swarm_ids],
    ));
    statements.push((
        include_str!("../sql/select_known_events.sql"),
        vec![&swarm_tenants as _, &swarm_ids, &event_ids],
    ));
    statements.push((
        include_str!("../sql/select_tasks.sql"),
        vec![&swarm_tenants as _, &swarm_ids, &task_ids],
    ));
    statements.push((
        include_str!("../sql/select_agents.sql"),
        vec![&swarm_tenants as _, &swarm_ids, &mentioned],
    ));
    if !settle.is_empty() {
        statements.push((
            include_str!("../sql/select_idle_tasks.sql"),
            vec![
                &settle_tenants as _,
                &settle_swarms,
                &SETTLE_LIMIT,
                &lost,
                &only_fitting,
            ],
        ));
    }
    let lease = usize::from(batch.position.is_some());
    let mut answers = transaction.pipeline(&statements, Step::Open).await?;
    if answers.first().is_some_and(|held| lease == 1 && held.is_empty())
        && let Some(position) = &batch.position
    {
        return Err(Error::LeaseLost(position.stream.clone()));
    }
    if answers.get(lease).is_some_and(|locked| locked.len() < swarms.len()) {
        // Swarms that nobody has written to yet. What was read so far was read without their lock: read again, with it.
        let parameters: Parameters<'_> = vec![&swarm_tenants, &swarm_ids];
        transaction
            .pipeline(&[(include_str!("../sql/insert_swarms.sql"), parameters)], Step::Inside)
            .await?;
        answers = transaction.pipeline(&statements, Step::Inside).await?;
    }
    let mut answers = answers.into_iter().skip(lease);
    let mut next = || answers.next().unwrap_or_default();
    let locked = next();
    let mut loaded = Loaded {
        settle,
        ..Loaded::default()
    };
    for row in &locked {
        loaded.swarms.insert(swarm_key(row), (row.get(2), State::default()));
    }
    loaded.known = known_events(&next());
    for row in &next() {
        loaded.put_task(row, Context::default());
    }
    for row in &next() {
        loaded.put_agent(row);
    }
    for row in &next() {
        let context = Context {
            correlation_id: row.get(12),
            causation_id: None,
            runbook_id: row.get(13),
            traceparent: row.get(14),
            tracestate: row.get(15),
        };
        loaded.put_task(row, context);
    }
    Ok(loaded)
}

/// For each `(input, seq)`: whether what is stored says the same as the input.
pub(super) async fn compare(
    transaction: &Transaction,
    batch: &Batch,
    pairs: &[(usize, i64)],
) -> Result<HashMap<usize, bool>, postgres::Error> {
    let events: Vec<_> = pairs.iter().map(|(input, _)| &batch.inputs[*input].event).collect();
    let tenants: Vec<&str> = events.iter().map(|event| event.tenant_id.as_str()).collect();
    let swarms: Vec<&str> = events.iter().map(|event| event.swarm_id.as_str()).collect();
    let seqs: Vec<i64> = pairs.iter().map(|(_, seq)| *seq).collect();
    let ordinals: Vec<i32> = pairs
        .iter()
        .map(|(input, _)| i32::try_from(*input).unwrap_or(i32::MAX))
        .collect();
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    let runs: Vec<&str> = events.iter().map(|event| event.run_id.as_str()).collect();
    let actors: Vec<&str> = events.iter().map(|event| event.actor_id.as_str()).collect();
    let payloads: Vec<String> = events.iter().map(|event| event.payload.to_string()).collect();
    let parameters: Parameters<'_> = vec![&tenants, &swarms, &seqs, &ordinals, &kinds, &runs, &actors, &payloads];
    let answers = transaction
        .pipeline(&[(include_str!("../sql/compare_events.sql"), parameters)], Step::Inside)
        .await?;
    let index = |row: &Row| usize::try_from(row.get::<_, i32>(0)).unwrap_or(usize::MAX);
    Ok(answers.iter().flatten().map(|row| (index(row), row.get(1))).collect())
}

fn swarm_key(row: &Row) -> SwarmKey {
    (TenantId::trusted(row.get(0)), SwarmId::trusted(row.get(1)))
}

fn known_events(rows: &[Row]) -> HashMap<EventKey, Known> {
    rows.iter()
        .map(|row| {
            let (tenant, swarm) = swarm_key(row);
            let entry = row.get::<_, Option<&str>>(4).and_then(|entry| entry.parse().ok());
            (
                (tenant, swarm, EventId::trusted(row.get(2))),
                Known { seq: row.get(3), entry },
            )
        })
        .collect()
}

impl Loaded {
    fn put_task(&mut self, row: &Row, context: Context) {
        let Some((_, state)) = self.swarms.get_mut(&swarm_key(row)) else {
            return;
        };
        state.load_task(Task {
            id: TaskId::trusted(row.get(2)),
            run_id: RunId::trusted(row.get(3)),
            status: row.get::<_, &str>(4).parse().unwrap_or(TaskStatus::Cancelled),
            assignee: row.get::<_, Option<&str>>(5).map(ActorId::trusted),
            role: row.get(6),
            capability: row.get(7),
            priority: row.get(8),
            attempt: row.get(9),
            max_attempts: row.get(10),
            inputs: None,
            outputs: None,
            error: None,
            origin: Origin {
                event_id: EventId::trusted(row.get(11)),
                context,
            },
        });
    }

    fn put_agent(&mut self, row: &Row) {
        let Some((_, state)) = self.swarms.get_mut(&swarm_key(row)) else {
            return;
        };
        state.load_agent(Agent {
            id: ActorId::trusted(row.get(2)),
            run_id: RunId::trusted(row.get(3)),
            role: row.get(4),
            capabilities: row.get(5),
            capacity: row.get(6),
            live: row.get::<_, &str>(7) == "live",
            load: row.get(8),
            last_seen_at: row.get(9),
        });
    }
}
