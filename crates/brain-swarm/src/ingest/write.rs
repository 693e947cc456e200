//! Writes everything that a batch changes, and commits, in one round trip.

use std::borrow::Cow;

use brain_connectivity::postgres;

use super::{
    Batch,
    columns::{
        AgentColumns, BudgetColumns, DoneColumns, EdgeColumns, EventColumns, KeyColumns, LetterColumns, NewTaskColumns,
        OverColumns, ReservationColumns, RunColumns, TaskColumns,
    },
    compose::{self, Part},
    fold::Changes,
    transaction::{Parameters, Step, Transaction},
};

/// The rows of every table that a batch changes.
#[derive(Default)]
struct Rows<'a> {
    new_tasks: TaskColumns<'a>,
    new_task_facts: NewTaskColumns<'a>,
    changed_tasks: TaskColumns<'a>,
    agents: AgentColumns<'a>,
    runs: RunColumns<'a>,
    keys: KeyColumns<'a>,
    budgets: BudgetColumns<'a>,
    reservations: ReservationColumns<'a>,
    over: OverColumns<'a>,
    edges: EdgeColumns<'a>,
    done: DoneColumns<'a>,
}

impl<'a> Rows<'a> {
    fn of(changes: &'a Changes) -> Self {
        let mut rows = Self::default();
        for (swarm, (_, state)) in &changes.swarms {
            let touched = &state.touched;
            for task in touched.new_tasks.iter().filter_map(|id| state.task(id)) {
                rows.new_tasks.push(swarm, state, task);
                rows.new_task_facts.push(task);
            }
            let changed = touched.tasks.iter().filter(|id| !state.is_new(id));
            for task in changed.filter_map(|id| state.task(id)) {
                rows.changed_tasks.push(swarm, state, task);
            }
            for agent in touched.agents.iter().filter_map(|id| state.agent(id)) {
                rows.agents.push(swarm, state, agent);
            }
            for run in touched.runs.iter().filter_map(|id| state.run(id)) {
                rows.runs.push(swarm, run);
            }
            for name in &touched.keys {
                if let Some(key) = state.key(name) {
                    rows.keys.push(swarm, name, *key, touched.served.contains(name));
                }
            }
            for budget in touched.budgets.iter().filter_map(|id| state.budget(id)) {
                rows.budgets.push(swarm, budget);
            }
            let reservations = touched.reservations.iter();
            for reservation in reservations.filter_map(|id| state.written_reservation(id)) {
                rows.reservations.push(swarm, reservation);
            }
            rows.over.extend(swarm, state);
            rows.edges.extend(swarm, state);
            rows.done.extend(swarm, state);
        }
        rows
    }
}

/// Returns the outbox id of each range of `changes.outbox`, in order.
pub(super) async fn write(
    transaction: &Transaction,
    batch: &Batch,
    changes: &Changes,
) -> Result<Vec<i64>, postgres::Error> {
    let events = EventColumns::of(&changes.events);
    let rows = Rows::of(changes);
    let sequence_tenants: Vec<&str> = changes.swarms.keys().map(|(tenant, _)| tenant.as_str()).collect();
    let sequence_swarms: Vec<&str> = changes.swarms.keys().map(|(_, swarm)| swarm.as_str()).collect();
    let sequence_values: Vec<i64> = changes.swarms.values().map(|(last_seq, _)| *last_seq).collect();
    let outbox_streams: Vec<&str> = changes.outbox.iter().map(|range| range.stream.as_str()).collect();
    let outbox_tenants: Vec<&str> = changes.outbox.iter().map(|range| range.tenant_id.as_str()).collect();
    let outbox_swarms: Vec<&str> = changes.outbox.iter().map(|range| range.swarm_id.as_str()).collect();
    let outbox_first: Vec<i64> = changes.outbox.iter().map(|range| range.first_seq).collect();
    let outbox_last: Vec<i64> = changes.outbox.iter().map(|range| range.last_seq).collect();
    let all_letters = || batch.dead_letters.iter().chain(&changes.duplicates);
    let letters = LetterColumns::of(all_letters());
    let letter_stream = all_letters().next().map_or("", |letter| letter.stream.as_str());
    let cursor = batch.position.as_ref().and_then(|position| {
        position
            .cursor
            .map(|cursor| (position.stream.as_str(), cursor.to_string()))
    });
    let (cursor_stream, cursor_text) = cursor
        .as_ref()
        .map_or(("", ""), |(stream, text)| (stream, text.as_str()));

    // What does not depend on each other. The outbox is last, because its ids are the answer.
    let mut together: Vec<Part<'_>> = Vec::with_capacity(8);
    if !changes.events.is_empty() {
        together.push((include_str!("../sql/insert_events.sql"), events.parameters()));
        together.push((
            include_str!("../sql/update_sequences.sql"),
            vec![&sequence_tenants, &sequence_swarms, &sequence_values],
        ));
    }
    if !rows.new_tasks.is_empty() {
        let mut parameters = rows.new_tasks.parameters();
        parameters.extend(rows.new_task_facts.parameters());
        together.push((include_str!("../sql/insert_tasks.sql"), parameters));
    }
    let tables = [
        (
            rows.changed_tasks.is_empty(),
            include_str!("../sql/update_tasks.sql"),
            rows.changed_tasks.parameters(),
        ),
        (
            rows.agents.is_empty(),
            include_str!("../sql/upsert_agents.sql"),
            rows.agents.parameters(),
        ),
        (
            rows.runs.is_empty(),
            include_str!("../sql/upsert_runs.sql"),
            rows.runs.parameters(),
        ),
        (
            rows.keys.is_empty(),
            include_str!("../sql/upsert_keys.sql"),
            rows.keys.parameters(),
        ),
        (
            rows.budgets.is_empty(),
            include_str!("../sql/upsert_budgets.sql"),
            rows.budgets.parameters(),
        ),
        (
            changes.outbox.is_empty(),
            include_str!("../sql/insert_outbox.sql"),
            vec![
                &outbox_streams as _,
                &outbox_tenants,
                &outbox_swarms,
                &outbox_first,
                &outbox_last,
            ],
        ),
    ];
    let changed = tables.into_iter().filter(|(unchanged, ..)| !unchanged);
    together.extend(changed.map(|(_, sql, parameters)| (sql, parameters)));
    let mut statements: Vec<(Cow<'_, str>, Parameters<'_>)> = Vec::with_capacity(8);
    statements.extend(compose::changes(together).map(|(sql, parameters)| (sql.into(), parameters)));
    let tables = [
        // What an attempt that is over left open, before what the next one reserves.
        (
            rows.over.is_empty(),
            include_str!("../sql/close_reservations.sql"),
            rows.over.parameters(),
        ),
        (
            rows.reservations.is_empty(),
            include_str!("../sql/upsert_reservations.sql"),
            rows.reservations.parameters(),
        ),
        (
            rows.edges.is_empty(),
            include_str!("../sql/insert_dependencies.sql"),
            rows.edges.parameters(),
        ),
        (
            rows.done.is_empty(),
            include_str!("../sql/satisfy_dependencies.sql"),
            rows.done.parameters(),
        ),
        (
            letters.is_empty(),
            include_str!("../sql/insert_dead_letters.sql"),
            letters.parameters(&letter_stream),
        ),
        (
            cursor.is_none(),
            include_str!("../sql/update_cursor.sql"),
            vec![&cursor_stream as _, &cursor_text],
        ),
    ];
    for (unchanged, sql, parameters) in tables {
        if !unchanged {
            statements.push((sql.into(), parameters));
        }
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
