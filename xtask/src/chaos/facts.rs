//! What the database holds at the end, read with SQL of the harness's own.

use anyhow::Result;
use tokio_postgres::Client;

/// A task as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TaskFact {
    pub(super) swarm: String,
    pub(super) task: String,
    pub(super) status: String,
    pub(super) waiting_for: Option<String>,
    pub(super) attempt: i32,
    pub(super) max_attempts: i32,
    /// Attempts in its history that count as used.
    pub(super) ended_attempts: i32,
    /// The worker process and token of the outputs.
    pub(super) by: Option<String>,
    pub(super) token: Option<i64>,
    pub(super) error: Option<String>,
}

/// An event about a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EventFact {
    pub(super) seq: i64,
    pub(super) kind: String,
    pub(super) task: String,
    pub(super) token: Option<i64>,
    pub(super) took_effect: bool,
    /// Microseconds since 1970.
    pub(super) stored_at: i64,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) tasks: Vec<TaskFact>,
    pub(super) events: Vec<EventFact>,
    /// Dead letters that nothing explains.
    pub(super) dead_letters: Vec<String>,
}

/// Reads tasks, events and dead letters of one snapshot.
pub(super) async fn read(client: &mut Client) -> Result<Facts> {
    let transaction = client
        .build_transaction()
        .isolation_level(tokio_postgres::IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    let tasks = transaction
        .query(include_str!("sql/select_task_facts.sql"), &[])
        .await?;
    let events = transaction
        .query(include_str!("sql/select_event_facts.sql"), &[])
        .await?;
    let letters = transaction
        .query(include_str!("sql/select_unexplained_dead_letters.sql"), &[])
        .await?;
    Ok(Facts {
        tasks: tasks
            .iter()
            .map(|row| TaskFact {
                swarm: row.get("swarm_id"),
                task: row.get("task_id"),
                status: row.get("status"),
                waiting_for: row.get("waiting_for"),
                attempt: row.get("attempt"),
                max_attempts: row.get("max_attempts"),
                ended_attempts: row.get("ended_attempts"),
                by: row.get("by"),
                token: row.get("token"),
                error: row.get("error"),
            })
            .collect(),
        events: events
            .iter()
            .map(|row| EventFact {
                seq: row.get("seq"),
                kind: row.get("event_type"),
                task: row.get("task_id"),
                token: row.get("token"),
                took_effect: row.get("took_effect"),
                stored_at: row.get("stored_at"),
            })
            .collect(),
        dead_letters: letters.iter().map(|row| row.get(0)).collect(),
    })
}
