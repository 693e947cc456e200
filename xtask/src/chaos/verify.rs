//! Compares the ledgers with the database: pure, over plain data.
//!
//! The ledgers say what the outside world was told; the database must agree with every word of it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Serialize;

use super::facts::{EventFact, Facts, TaskFact};
use super::fleet::Freeze;
use super::ledger::{Fate, Line, Promise, What};

#[cfg(test)]
mod tests;

/// Something that must never happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Violation {
    pub(super) kind: &'static str,
    pub(super) detail: String,
}

impl Violation {
    pub(super) fn new(kind: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
        }
    }
}

/// A worker process and the token that it had.
type Holder<'a> = (&'a str, i64);

/// What the ledgers of the workers say about one task.
#[derive(Default)]
struct Told<'a> {
    attempted: BTreeSet<Holder<'a>>,
    acknowledged: BTreeSet<Holder<'a>>,
    refused: BTreeSet<Holder<'a>>,
    /// Holders that said that the task is done only after they had heard that they lost it.
    late: BTreeSet<Holder<'a>>,
    claimed: Vec<(Holder<'a>, i64)>,
}

/// Everything that does not agree.
pub(super) fn verify(promises: &[Promise], lines: &[Line], freezes: &[Freeze], facts: &Facts) -> Vec<Violation> {
    let mut found = Vec::new();
    let told = told(lines, &mut found);
    let mut tasks: HashMap<&str, &TaskFact> = HashMap::new();
    for fact in &facts.tasks {
        if tasks.insert(&fact.task, fact).is_some() {
            found.push(Violation::new(
                "stored twice",
                format!("task {} is stored twice", fact.task),
            ));
        }
    }
    let mut events: HashMap<&str, Vec<&EventFact>> = HashMap::new();
    for event in facts.events.iter().filter(|event| event.took_effect) {
        events.entry(&event.task).or_default().push(event);
    }
    for promise in promises {
        let Some(fact) = tasks.get(promise.task.as_str()) else {
            found.push(Violation::new(
                "lost task",
                format!("task {} was acknowledged and is not stored", promise.task),
            ));
            continue;
        };
        check_end(promise, fact, &tasks, &mut found);
        check_dependencies(promise, &events, &mut found);
    }
    let nothing = Told::default();
    for fact in &facts.tasks {
        let told = told.get(fact.task.as_str()).unwrap_or(&nothing);
        check_words(fact, told, &mut found);
        let events = events.get(fact.task.as_str()).map_or(&[][..], Vec::as_slice);
        check_events(fact, events, &mut found);
        check_freezes(fact, told, events, freezes, &mut found);
    }
    for (task, told) in &told {
        if !tasks.contains_key(task) && !told.claimed.is_empty() {
            let words = format!("task {task} was handed out and is not stored");
            found.push(Violation::new("lost task", words));
        }
    }
    found.extend(facts.dead_letters.iter().map(|letter| {
        // The foreign client adds an entry again when it does not see its task; that is the one reason it may have.
        Violation::new("dead letter", letter.clone())
    }));
    found
}

fn told<'a>(lines: &'a [Line], found: &mut Vec<Violation>) -> BTreeMap<&'a str, Told<'a>> {
    let mut told: BTreeMap<&str, Told<'_>> = BTreeMap::new();
    let mut lost: HashSet<(&str, Holder<'_>)> = HashSet::new();
    let mut owners: HashMap<(&str, i64), &str> = HashMap::new();
    for line in lines {
        let holder = (line.by.as_str(), line.token);
        let task = told.entry(&line.task).or_default();
        match line.what {
            What::Claimed => {
                task.claimed.push((holder, line.at));
                if let Some(other) = owners.insert((&line.task, line.token), &line.by) {
                    let words = format!(
                        "task {} was handed out to {other} and to {} with token {}",
                        line.task, line.by, line.token
                    );
                    found.push(Violation::new("handed out twice", words));
                }
            }
            What::Lost => {
                lost.insert((&line.task, holder));
            }
            What::Completing => {
                task.attempted.insert(holder);
                if lost.contains(&(line.task.as_str(), holder)) {
                    task.late.insert(holder);
                }
            }
            What::Completed => {
                task.acknowledged.insert(holder);
            }
            What::Refused => {
                task.refused.insert(holder);
            }
            What::GaveUp | What::Unexpected => {
                let kind = match line.what {
                    What::GaveUp => "stuck",
                    _ => "unexpected answer",
                };
                let words = format!(
                    "{} about task {} (token {}): {}",
                    line.by, line.task, line.token, line.detail
                );
                found.push(Violation::new(kind, words));
            }
            What::Failing | What::Failed | What::Released => {}
        }
    }
    told
}

/// The task ended as it was meant to.
fn check_end(promise: &Promise, fact: &TaskFact, tasks: &HashMap<&str, &TaskFact>, found: &mut Vec<Violation>) {
    let status = fact.status.as_str();
    if !matches!(status, "completed" | "failed" | "cancelled") {
        let words = format!(
            "task {} is still {status} (waiting for {}, attempt {} of {})",
            fact.task,
            fact.waiting_for.as_deref().unwrap_or("nothing"),
            fact.attempt,
            fact.max_attempts
        );
        found.push(Violation::new("not ended", words));
        return;
    }
    let done = |task: &String| tasks.get(task.as_str()).is_some_and(|fact| fact.status == "completed");
    let expected = match promise.fate {
        _ if !promise.depends_on.iter().all(done) => "cancelled",
        Fate::Plain | Fate::Flaky | Fate::Canary => "completed",
        Fate::Doomed | Fate::Poison => "failed",
    };
    if status != expected {
        let words = format!(
            "task {} ({:?}, attempt {} of {}) ended as {status}, not {expected}: {}",
            fact.task,
            promise.fate,
            fact.attempt,
            fact.max_attempts,
            fact.error.as_deref().unwrap_or("no error")
        );
        found.push(Violation::new("wrong end", words));
    }
    if promise.fate == Fate::Poison
        && status == "failed"
        && (fact.attempt != fact.max_attempts || fact.ended_attempts != fact.attempt)
    {
        let words = format!(
            "poisoned task {} failed after {} of {} attempts with {} used ones in its history",
            fact.task, fact.attempt, fact.max_attempts, fact.ended_attempts
        );
        found.push(Violation::new("wrong end", words));
    }
}

/// It began only when all that it depends on had completed.
fn check_dependencies(promise: &Promise, events: &HashMap<&str, Vec<&EventFact>>, found: &mut Vec<Violation>) {
    let first = |task: &str, kind: &str| {
        let events = events.get(task)?;
        events
            .iter()
            .filter(|event| event.kind == kind)
            .map(|event| event.seq)
            .min()
    };
    let Some(started) = first(&promise.task, "task.started") else {
        return;
    };
    for dependency in &promise.depends_on {
        let completed = first(dependency, "task.completed");
        if completed.is_none_or(|completed| completed > started) {
            let words = format!(
                "task {} started at seq {started}, its dependency {dependency} completed at {completed:?}",
                promise.task
            );
            found.push(Violation::new("started too early", words));
        }
    }
}

/// What the workers were told about the task is true.
fn check_words(fact: &TaskFact, told: &Told<'_>, found: &mut Vec<Violation>) {
    let stored = match (fact.status.as_str(), &fact.by, fact.token) {
        ("completed", Some(by), Some(token)) => Some((by.as_str(), token)),
        _ => None,
    };
    let tell = |holder: &Holder<'_>| format!("{} with token {}", holder.0, holder.1);
    if told.acknowledged.len() > 1 {
        let holders: Vec<String> = told.acknowledged.iter().map(tell).collect();
        let words = format!(
            "task {} was acknowledged as done to {}",
            fact.task,
            holders.join(" and ")
        );
        found.push(Violation::new("done twice", words));
    }
    for holder in &told.acknowledged {
        if stored != Some(*holder) {
            let words = format!(
                "task {} was acknowledged as done to {}, but it is {} by {stored:?}",
                fact.task,
                tell(holder),
                fact.status
            );
            found.push(Violation::new("lost completion", words));
        }
    }
    let Some(stored) = stored else {
        if fact.status == "completed" {
            let words = format!("task {} is completed with outputs of no worker", fact.task);
            found.push(Violation::new("done by nobody", words));
        }
        return;
    };
    if !told.attempted.contains(&stored) {
        let words = format!(
            "task {} is completed by {}, who never said so",
            fact.task,
            tell(&stored)
        );
        found.push(Violation::new("done by nobody", words));
    }
    if told.refused.contains(&stored) {
        let words = format!(
            "task {} was refused to {} and counts all the same",
            fact.task,
            tell(&stored)
        );
        found.push(Violation::new("refused but done", words));
    }
    if told.late.contains(&stored) {
        let words = format!(
            "task {} was completed by {}, who had been told that the lease is lost",
            fact.task,
            tell(&stored)
        );
        found.push(Violation::new("stale token", words));
    }
}

/// One creation, one end, tokens that grow.
fn check_events(fact: &TaskFact, events: &[&EventFact], found: &mut Vec<Violation>) {
    let count = |kinds: &[&str]| {
        events
            .iter()
            .filter(|event| kinds.contains(&event.kind.as_str()))
            .count()
    };
    let created = count(&["task.created"]);
    if created != 1 {
        let words = format!("task {} has {created} events task.created", fact.task);
        found.push(Violation::new("created twice", words));
    }
    let ends = count(&["task.completed", "task.failed", "task.cancelled"]);
    let expected = usize::from(matches!(fact.status.as_str(), "completed" | "failed" | "cancelled"));
    if ends != expected {
        let words = format!("task {} is {} and has {ends} terminal events", fact.task, fact.status);
        found.push(Violation::new("ended twice", words));
    }
    let mut tokens: Vec<(i64, i64)> = events
        .iter()
        .filter(|event| event.kind == "task.started")
        .filter_map(|event| Some((event.seq, event.token?)))
        .collect();
    tokens.sort_unstable();
    if tokens.windows(2).any(|pair| pair[0].1 >= pair[1].1) {
        let words = format!("the tokens of task {} do not grow: {tokens:?} (seq, token)", fact.task);
        found.push(Violation::new("token reused", words));
    }
}

/// What a worker held when it was frozen past its lease it cannot complete afterwards.
fn check_freezes(
    fact: &TaskFact,
    told: &Told<'_>,
    events: &[&EventFact],
    freezes: &[Freeze],
    found: &mut Vec<Violation>,
) {
    let (Some(by), Some(token)) = (&fact.by, fact.token) else {
        return;
    };
    let holder = (by.as_str(), token);
    let Some((_, claimed)) = told.claimed.iter().find(|(claimer, _)| *claimer == holder) else {
        return;
    };
    let Some(completed) = events.iter().find(|event| event.kind == "task.completed") else {
        return;
    };
    let agent = by.split('#').next().unwrap_or_default();
    for freeze in freezes.iter().filter(|freeze| freeze.agent == agent) {
        if *claimed < freeze.from && completed.stored_at > freeze.until {
            let words = format!(
                "task {} was completed by {by} with token {token}, {} ms after a pause of {} ms",
                fact.task,
                (completed.stored_at - freeze.until) / 1_000,
                (freeze.until - freeze.from) / 1_000
            );
            found.push(Violation::new("stale token", words));
        }
    }
}
