//! Planted faults: each must be found, and a sound history must pass.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

fn promise(task: &str, fate: Fate, depends_on: &[&str]) -> Promise {
    Promise {
        task: task.to_owned(),
        swarm: "s".to_owned(),
        fate,
        depends_on: depends_on.iter().map(|task| (*task).to_owned()).collect(),
    }
}

fn line(at: i64, by: &str, what: What, task: &str, token: i64) -> Line {
    Line {
        at,
        by: by.to_owned(),
        what,
        task: task.to_owned(),
        token,
        duplicate: false,
        detail: String::new(),
    }
}

fn task(task: &str, status: &str, holder: Option<(&str, i64)>) -> TaskFact {
    TaskFact {
        swarm: "s".to_owned(),
        task: task.to_owned(),
        status: status.to_owned(),
        waiting_for: None,
        attempt: 1,
        max_attempts: 50,
        ended_attempts: 0,
        by: holder.map(|(by, _)| by.to_owned()),
        token: holder.map(|(_, token)| token),
        error: None,
    }
}

fn event(seq: i64, kind: &str, task: &str, token: Option<i64>) -> EventFact {
    EventFact {
        seq,
        kind: kind.to_owned(),
        task: task.to_owned(),
        token,
        took_effect: true,
        stored_at: seq,
    }
}

struct Story {
    promises: Vec<Promise>,
    lines: Vec<Line>,
    freezes: Vec<Freeze>,
    facts: Facts,
}

impl Story {
    /// Task `a` was lost by one worker and done by another; `b` depends on it.
    fn sound() -> Self {
        Self {
            promises: vec![promise("a", Fate::Plain, &[]), promise("b", Fate::Plain, &["a"])],
            lines: vec![
                line(1, "w1#1", What::Claimed, "a", 1),
                line(2, "w1#1", What::Lost, "a", 1),
                line(3, "w1#1", What::Completing, "a", 1),
                line(4, "w1#1", What::Refused, "a", 1),
                line(2, "w2#2", What::Claimed, "a", 2),
                line(3, "w2#2", What::Completing, "a", 2),
                line(4, "w2#2", What::Completed, "a", 2),
                line(5, "w2#2", What::Claimed, "b", 1),
                line(6, "w2#2", What::Completing, "b", 1),
            ],
            freezes: Vec::new(),
            facts: Facts {
                tasks: vec![
                    task("a", "completed", Some(("w2#2", 2))),
                    task("b", "completed", Some(("w2#2", 1))),
                ],
                events: vec![
                    event(1, "task.created", "a", None),
                    event(2, "task.created", "b", None),
                    event(3, "task.started", "a", Some(1)),
                    event(4, "task.started", "a", Some(2)),
                    event(5, "task.completed", "a", None),
                    event(6, "task.started", "b", Some(1)),
                    event(7, "task.completed", "b", None),
                ],
                dead_letters: Vec::new(),
            },
        }
    }

    fn kinds(&self) -> Vec<&'static str> {
        let found = verify(&self.promises, &self.lines, &self.freezes, &self.facts);
        found.iter().map(|violation| violation.kind).collect()
    }

    fn fact(&mut self, name: &str) -> &mut TaskFact {
        self.facts.tasks.iter_mut().find(|fact| fact.task == name).unwrap()
    }
}

#[test]
fn a_sound_history_passes() {
    assert_eq!(Story::sound().kinds(), Vec::<&str>::new());
}

#[test]
fn a_completion_acknowledged_to_two_holders_is_found() {
    let mut story = Story::sound();
    story.lines[3].what = What::Completed;
    assert_eq!(story.kinds(), ["done twice", "lost completion"]);
}

#[test]
fn a_completion_that_was_acknowledged_and_is_gone_is_found() {
    let mut story = Story::sound();
    story.fact("a").token = Some(1);
    story.fact("a").by = Some("w1#1".to_owned());
    let kinds = story.kinds();
    assert!(kinds.contains(&"lost completion"), "{kinds:?}");
    assert!(
        kinds.contains(&"refused but done") && kinds.contains(&"stale token"),
        "{kinds:?}"
    );

    let mut story = Story::sound();
    story.fact("b").status = "failed".to_owned();
    story.facts.events[6].kind = "task.failed".to_owned();
    assert_eq!(story.kinds(), ["wrong end"]);
    story.lines.push(line(7, "w2#2", What::Completed, "b", 1));
    assert_eq!(story.kinds(), ["wrong end", "lost completion"]);
}

#[test]
fn a_task_that_was_acknowledged_and_is_not_stored_is_found() {
    let mut story = Story::sound();
    story.promises.push(promise("c", Fate::Plain, &[]));
    assert_eq!(story.kinds(), ["lost task"]);
}

#[test]
fn a_task_that_waits_for_ever_is_found() {
    let mut story = Story::sound();
    *story.fact("b") = task("b", "created", None);
    story.facts.events.pop();
    assert_eq!(story.kinds(), ["not ended"]);
}

#[test]
fn one_token_for_two_workers_and_a_completion_by_nobody_are_found() {
    let mut story = Story::sound();
    story.lines[0].token = 2;
    assert_eq!(story.kinds(), ["handed out twice"]);
    let mut story = Story::sound();
    story.lines.remove(8);
    assert_eq!(story.kinds(), ["done by nobody"]);
}

#[test]
fn a_dependent_that_started_too_early_is_found_and_one_of_a_failed_task_has_to_be_cancelled() {
    let mut story = Story::sound();
    story.facts.events[5].seq = 4;
    assert_eq!(story.kinds(), ["started too early"]);

    let mut story = Story::sound();
    story.promises[0].fate = Fate::Doomed;
    *story.fact("a") = task("a", "failed", None);
    story.lines.remove(6);
    story.facts.events[4].kind = "task.failed".to_owned();
    assert_eq!(story.kinds(), ["wrong end", "started too early"]);
    *story.fact("b") = task("b", "cancelled", None);
    story.facts.events[6].kind = "task.cancelled".to_owned();
    story.facts.events.remove(5);
    assert_eq!(story.kinds(), Vec::<&str>::new());
}

#[test]
fn a_second_end_a_second_creation_and_a_reused_token_are_found() {
    let mut story = Story::sound();
    story.facts.events.push(event(8, "task.failed", "b", None));
    story.facts.events.push(event(9, "task.created", "a", None));
    story.facts.events[3].token = Some(1);
    assert_eq!(story.kinds(), ["created twice", "token reused", "ended twice"]);
    for event in &mut story.facts.events[7..] {
        event.took_effect = false;
    }
    assert_eq!(story.kinds(), ["token reused"]);
}

#[test]
fn a_poisoned_task_has_used_all_its_attempts() {
    let mut story = Story::sound();
    story.promises[1].fate = Fate::Poison;
    let mut fact = task("b", "failed", None);
    (fact.attempt, fact.max_attempts, fact.ended_attempts) = (2, 2, 2);
    *story.fact("b") = fact;
    story.facts.events[6].kind = "task.failed".to_owned();
    assert_eq!(story.kinds(), Vec::<&str>::new());
    story.fact("b").ended_attempts = 1;
    assert_eq!(story.kinds(), ["wrong end"]);
}

#[test]
fn what_a_frozen_worker_held_it_cannot_complete() {
    let mut story = Story::sound();
    story.freezes.push(Freeze {
        agent: "w2".to_owned(),
        from: 3,
        until: 4,
    });
    assert_eq!(story.kinds(), ["stale token"]);
    story.freezes[0].from = 1;
    assert_eq!(story.kinds(), Vec::<&str>::new());
}
