//! Reads, under the lock of each swarm, what the decisions of a batch need.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use brain_connectivity::postgres;
use jiff::Timestamp;
use tokio_postgres::Row;

use super::{
    Batch, Error, EventKey, SETTLE_LIMIT,
    compose::{self, Part},
    mentions::Mentions,
    rows,
    transaction::{Parameters, Step, Transaction},
};
use crate::{
    decide::{State, Task},
    ids::{EntryId, EventId, SwarmId, TaskId, TenantId},
};

pub(super) type SwarmKey = (TenantId, SwarmId);

/// How many tasks that are due are moved before a claim looks at the queue.
const DUE_LIMIT: i64 = 200;

/// The statement that reads tasks with all that decisions need of them; where something is claimed (`hands_out`), also with what is
/// handed out: whatever is read may become ready in the same batch.
fn task_states<'a>(hands_out: bool, parts: Vec<Part<'a>>) -> Option<(Cow<'static, str>, Parameters<'a>)> {
    let head = if hands_out {
        concat!(
            include_str!("../sql/task_state_columns.sql"),
            "    t.inputs::text, t.progress::text\nFROM (\n"
        )
    } else {
        concat!(
            include_str!("../sql/task_state_columns.sql"),
            "    NULL::text, NULL::text\nFROM (\n"
        )
    };
    compose::union(head, parts, include_str!("../sql/task_state_joins.sql"))
        .map(|(sql, parameters)| (sql.into(), parameters))
}

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
    /// Swarms of which idle tasks were read.
    pub(super) settle: BTreeSet<SwarmKey>,
    /// For each swarm that claims: when something will be ready although nothing happens.
    pub(super) next_due: HashMap<SwarmKey, Timestamp>,
}

/// What the rows of an answer are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Lease,
    Swarms,
    Known,
    Tasks,
    IdleTasks,
    Agents,
    Edges,
    Keys,
    Budgets,
    Reservations,
    Runs,
    NextDue,
}

/// Begins the transaction and reads.
pub(super) async fn load(transaction: &Transaction, batch: &Batch) -> Result<Loaded, Error> {
    let mentions = Mentions::of(batch);
    let list = |set: &BTreeSet<&'_ str>| -> Vec<String> { set.iter().map(|id| (*id).to_owned()).collect() };
    let pair = |set: &BTreeSet<SwarmKey>| -> (Vec<String>, Vec<String>) {
        set.iter()
            .map(|(tenant, swarm)| (tenant.to_string(), swarm.to_string()))
            .unzip()
    };
    let (tenants, swarms) = pair(&mentions.swarms);
    let (settle_tenants, settle_swarms) = pair(&mentions.settle);
    let known: Vec<&str> = batch
        .inputs
        .iter()
        .filter(|input| !input.fresh)
        .map(|input| input.event.id.as_str())
        .collect();
    let (tasks, ending) = (list(&mentions.tasks), list(&mentions.ending));
    let retrying = list(&mentions.retrying);
    let (agents, lost) = (list(&mentions.agents), list(&mentions.lost));
    let (runs, cancelled) = (list(&mentions.runs), list(&mentions.cancelled_runs));
    let (budgets, stopped) = (list(&mentions.budgets), list(&mentions.stopped_budgets));
    let (keys, reservations) = (list(&mentions.keys), list(&mentions.reservations));
    let claims = Claims::of(batch);
    let hands_out = !batch.claims.is_empty();
    // In a batch of events an agent may just be joining, which the database does not know yet.
    let only_fitting = batch.inputs.is_empty();
    let (stream, owner, token) = batch.position.as_ref().map_or(("", "", 0), |position| {
        (position.stream.as_str(), position.owner.as_str(), position.token.0)
    });

    let mut plan: Vec<(Answer, Cow<'static, str>, Parameters<'_>)> = Vec::with_capacity(12);
    let mut task_parts: Vec<Part<'_>> = Vec::new();
    if batch.position.is_some() {
        plan.push((
            Answer::Lease,
            include_str!("../sql/lock_stream.sql").into(),
            vec![&stream, &owner, &token],
        ));
    }
    plan.push((
        Answer::Swarms,
        include_str!("../sql/lock_swarms.sql").into(),
        vec![&tenants, &swarms],
    ));
    if !known.is_empty() {
        plan.push((
            Answer::Known,
            include_str!("../sql/select_known_events.sql").into(),
            vec![&tenants, &swarms, &known],
        ));
    }
    if !tasks.is_empty() {
        task_parts.push((include_str!("../sql/select_tasks.sql"), vec![&tenants, &swarms, &tasks]));
    }
    if !ending.is_empty() {
        plan.push((
            Answer::Edges,
            include_str!("../sql/select_dependents.sql").into(),
            vec![&tenants, &swarms, &ending],
        ));
        task_parts.push((
            include_str!("../sql/select_waiting_tasks.sql"),
            vec![&tenants, &swarms, &ending],
        ));
    }
    if !retrying.is_empty() {
        plan.push((
            Answer::Edges,
            include_str!("../sql/select_dependencies.sql").into(),
            vec![&tenants, &swarms, &retrying],
        ));
        task_parts.push((
            include_str!("../sql/select_dependency_tasks.sql"),
            vec![&tenants, &swarms, &retrying],
        ));
    }
    plan.push((
        Answer::Agents,
        include_str!("../sql/select_agents.sql").into(),
        vec![&tenants, &swarms, &agents],
    ));
    if !mentions.settle.is_empty() {
        let parameters: Parameters<'_> = vec![
            &settle_tenants,
            &settle_swarms,
            &SETTLE_LIMIT,
            &lost,
            &cancelled,
            &stopped,
            &only_fitting,
        ];
        let parts = vec![(include_str!("../sql/select_idle_tasks.sql"), parameters)];
        plan.extend(task_states(hands_out, parts).map(|(sql, parameters)| (Answer::IdleTasks, sql, parameters)));
    }
    if !batch.claims.is_empty() {
        task_parts.push((
            include_str!("../sql/select_claimable_tasks.sql"),
            vec![&claims.tenants, &claims.swarms, &claims.agents, &claims.most],
        ));
        plan.push((
            Answer::NextDue,
            include_str!("../sql/select_next_due.sql").into(),
            vec![&claims.claimed_tenants, &claims.claimed_swarms],
        ));
    }
    plan.extend(task_states(hands_out, task_parts).map(|(sql, parameters)| (Answer::Tasks, sql, parameters)));
    if !keys.is_empty() {
        plan.push((
            Answer::Keys,
            include_str!("../sql/select_keys.sql").into(),
            vec![&tenants, &swarms, &keys],
        ));
    }
    if !budgets.is_empty() {
        plan.push((
            Answer::Budgets,
            include_str!("../sql/select_budgets.sql").into(),
            vec![&tenants, &swarms, &budgets],
        ));
    }
    if !reservations.is_empty() {
        plan.push((
            Answer::Reservations,
            include_str!("../sql/select_reservations.sql").into(),
            vec![&tenants, &swarms, &reservations],
        ));
    }
    if !runs.is_empty() {
        plan.push((
            Answer::Runs,
            include_str!("../sql/select_runs.sql").into(),
            vec![&tenants, &swarms, &runs],
        ));
    }

    let kinds: Vec<Answer> = plan.iter().map(|(kind, ..)| *kind).collect();
    let statements: Vec<(Cow<'_, str>, Parameters<'_>)> =
        plan.into_iter().map(|(_, sql, parameters)| (sql, parameters)).collect();
    let mut answers = transaction.pipeline(&statements, Step::Open).await?;
    let of = |kind: Answer| kinds.iter().position(|wanted| *wanted == kind);
    if let (Some(place), Some(position)) = (of(Answer::Lease), &batch.position)
        && answers[place].is_empty()
    {
        return Err(Error::LeaseLost(position.stream.clone()));
    }
    if of(Answer::Swarms).is_some_and(|place| answers[place].len() < mentions.swarms.len()) {
        // Swarms that nobody has written to yet. What was read so far was read without their lock: read again, with it.
        let parameters: Parameters<'_> = vec![&tenants, &swarms];
        transaction
            .pipeline(
                &[(include_str!("../sql/insert_swarms.sql").into(), parameters)],
                Step::Inside,
            )
            .await?;
        answers = transaction.pipeline(&statements, Step::Inside).await?;
    }
    let mut loaded = Loaded {
        settle: mentions.settle.clone(),
        ..Loaded::default()
    };
    loaded
        .settle
        .extend(batch.claims.iter().map(|input| input.swarm.clone()));
    for (kind, rows) in kinds.iter().zip(&answers) {
        if *kind == Answer::Swarms {
            loaded.put_swarms(rows);
        }
    }
    for (kind, rows) in kinds.iter().zip(&answers) {
        loaded.put(*kind, rows);
    }
    load_due(transaction, &mut loaded, hands_out).await?;
    load_ends(transaction, &mut loaded, &mentions, hands_out, &tenants, &swarms).await?;
    load_holders(transaction, &mut loaded, &tenants, &swarms).await?;
    Ok(loaded)
}

/// Before anything is handed out: what is due. Most claims find that nothing is.
async fn load_due(transaction: &Transaction, loaded: &mut Loaded, hands_out: bool) -> Result<(), postgres::Error> {
    let is_due = |(key, due): &(&SwarmKey, &Timestamp)| {
        let swarm = loaded.swarms.get(*key);
        swarm.is_some_and(|(_, state)| **due <= state.now)
    };
    let due = loaded.next_due.iter().filter(is_due);
    let (tenants, swarms): (Vec<String>, Vec<String>) = due
        .map(|((tenant, swarm), _)| (tenant.to_string(), swarm.to_string()))
        .unzip();
    if tenants.is_empty() {
        return Ok(());
    }
    let parameters: Parameters<'_> = vec![&tenants, &swarms, &DUE_LIMIT];
    let parts = vec![(include_str!("../sql/select_due_tasks.sql"), parameters)];
    let statements: Vec<_> = task_states(hands_out, parts).into_iter().collect();
    for rows in transaction.pipeline(&statements, Step::Inside).await? {
        loaded.put(Answer::IdleTasks, &rows);
    }
    Ok(())
}

/// What can end in turn when the tasks end that fail or are called off in this batch: read only when some may.
async fn load_ends(
    transaction: &Transaction,
    loaded: &mut Loaded,
    mentions: &Mentions<'_>,
    hands_out: bool,
    tenants: &[String],
    swarms: &[String],
) -> Result<(), postgres::Error> {
    let mut seeds: Vec<String> = mentions.failing.iter().map(|id| (*id).to_owned()).collect();
    for key in &loaded.settle {
        if let Some((_, state)) = loaded.swarms.get(key) {
            let called_off = |task: &Task| {
                mentions.cancelled_runs.contains(task.run_id.as_str())
                    || task
                        .budget
                        .as_ref()
                        .is_some_and(|id| mentions.stopped_budgets.contains(id.as_str()))
            };
            let ending = state
                .idle_tasks()
                .filter(|task| state.may_end_badly(task) || called_off(task));
            seeds.extend(ending.map(|task| task.id.to_string()));
        }
    }
    if seeds.is_empty() {
        return Ok(());
    }
    let parameters: Parameters<'_> = vec![&tenants, &swarms, &seeds];
    let sql = include_str!("../sql/select_all_dependents.sql");
    let answers = transaction.pipeline(&[(sql.into(), parameters)], Step::Inside).await?;
    let edges = answers.into_iter().next().unwrap_or_default();
    loaded.put(Answer::Edges, &edges);
    let far: BTreeSet<&str> = edges.iter().map(|row| row.get(2)).collect();
    if far.is_empty() {
        return Ok(());
    }
    let far: Vec<&str> = far.into_iter().collect();
    let parameters: Parameters<'_> = vec![&tenants, &swarms, &far];
    let parts = vec![(include_str!("../sql/select_tasks.sql"), parameters)];
    let statements: Vec<_> = task_states(hands_out, parts).into_iter().collect();
    for rows in transaction.pipeline(&statements, Step::Inside).await? {
        loaded.put(Answer::Tasks, &rows);
    }
    Ok(())
}

/// Agents that the tasks name which were read, and that nobody else spoke of: their load changes with the tasks.
async fn load_holders(
    transaction: &Transaction,
    loaded: &mut Loaded,
    tenants: &[String],
    swarms: &[String],
) -> Result<(), postgres::Error> {
    let mut missing: BTreeSet<String> = BTreeSet::new();
    for (_, state) in loaded.swarms.values() {
        missing.extend(state.unknown_agents().map(ToString::to_string));
    }
    if missing.is_empty() {
        return Ok(());
    }
    let missing: Vec<String> = missing.into_iter().collect();
    let parameters: Parameters<'_> = vec![&tenants, &swarms, &missing];
    let sql = include_str!("../sql/select_agents_by_id.sql");
    for rows in transaction.pipeline(&[(sql.into(), parameters)], Step::Inside).await? {
        loaded.put(Answer::Agents, &rows);
    }
    Ok(())
}

/// The parameters that the claims of a batch add up to.
#[derive(Default)]
struct Claims<'a> {
    tenants: Vec<&'a str>,
    swarms: Vec<&'a str>,
    agents: Vec<&'a str>,
    most: Vec<i64>,
    /// Each swarm once.
    claimed_tenants: Vec<&'a str>,
    claimed_swarms: Vec<&'a str>,
}

impl<'a> Claims<'a> {
    fn of(batch: &'a Batch) -> Self {
        let mut claims = Self::default();
        let mut swarms: BTreeSet<&SwarmKey> = BTreeSet::new();
        for input in &batch.claims {
            swarms.insert(&input.swarm);
            claims.tenants.push(input.swarm.0.as_str());
            claims.swarms.push(input.swarm.1.as_str());
            claims.agents.push(input.claim.agent.as_str());
            claims.most.push(i64::try_from(input.claim.max).unwrap_or(i64::MAX));
        }
        for (tenant, swarm) in swarms {
            claims.claimed_tenants.push(tenant.as_str());
            claims.claimed_swarms.push(swarm.as_str());
        }
        claims
    }
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
        .pipeline(
            &[(include_str!("../sql/compare_events.sql").into(), parameters)],
            Step::Inside,
        )
        .await?;
    let index = |row: &Row| usize::try_from(row.get::<_, i32>(0)).unwrap_or(usize::MAX);
    Ok(answers.iter().flatten().map(|row| (index(row), row.get(1))).collect())
}

fn swarm_key(row: &Row) -> SwarmKey {
    (TenantId::trusted(row.get(0)), SwarmId::trusted(row.get(1)))
}

impl Loaded {
    fn put_swarms(&mut self, rows: &[Row]) {
        for row in rows {
            // Every swarm of a batch is decided at the same moment, the last at which a lock was got.
            self.swarms.insert(swarm_key(row), (row.get(2), State::at(row.get(3))));
        }
        let now = self
            .swarms
            .values()
            .map(|(_, state)| state.now)
            .max()
            .unwrap_or_default();
        for (_, state) in self.swarms.values_mut() {
            state.now = now;
        }
    }

    fn put(&mut self, kind: Answer, rows: &[Row]) {
        for row in rows {
            if kind == Answer::Lease || kind == Answer::Swarms {
                continue;
            }
            let key = swarm_key(row);
            match kind {
                Answer::Known => {
                    let entry = row.get::<_, Option<&str>>(4).and_then(|entry| entry.parse().ok());
                    let known = Known { seq: row.get(3), entry };
                    self.known.insert((key.0, key.1, EventId::trusted(row.get(2))), known);
                    continue;
                }
                Answer::NextDue => {
                    if let Some(due) = row.get::<_, Option<Timestamp>>(2) {
                        self.next_due.insert(key, due);
                    }
                    continue;
                }
                _ => {}
            }
            let Some((_, state)) = self.swarms.get_mut(&key) else {
                continue;
            };
            match kind {
                Answer::Tasks => rows::put_task(state, row),
                Answer::IdleTasks => {
                    rows::put_task(state, row);
                    state.load_idle(TaskId::trusted(row.get(2)));
                }
                Answer::Agents => state.load_agent(rows::agent(row)),
                Answer::Edges => rows::put_edge(state, row),
                Answer::Keys => rows::put_key(state, row),
                Answer::Budgets => state.load_budget(rows::budget(row)),
                Answer::Reservations => state.load_reservation(rows::reservation(row)),
                Answer::Runs => state.load_run(rows::run(row)),
                Answer::Lease | Answer::Swarms | Answer::Known | Answer::NextDue => {}
            }
        }
    }
}
