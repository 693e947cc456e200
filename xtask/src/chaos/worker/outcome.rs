//! What a worker says about its tasks, and what the ledger says about that.
//!
//! A call without an answer is repeated with the same token, on another replica, until the answer is clear: by contract
//! a repetition of what was stored gives the same answer.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use super::{AGAIN, Task, Worker};
use crate::chaos::client::{Answer, problem};
use crate::chaos::ledger::{Fate, What};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a worker says at the end of a task.
struct Word {
    /// Written before it is said.
    about: What,
    /// Written when it was acknowledged.
    done: What,
    path: &'static str,
    body: Value,
}

impl Worker {
    fn word(&self, task: &Task) -> Word {
        let inputs = &task.inputs;
        let fails = match inputs.fate {
            Fate::Doomed => Some(false),
            Fate::Flaky if task.attempt <= inputs.failures => Some(true),
            _ => None,
        };
        match fails {
            Some(retryable) => Word {
                about: What::Failing,
                done: What::Failed,
                path: "fail",
                body: json!({ "fencingToken": task.fencing_token, "error": "chaos wants it", "retryable": retryable }),
            },
            None => Word {
                about: What::Completing,
                done: What::Completed,
                path: "complete",
                body: json!({
                    "fencingToken": task.fencing_token,
                    "outputs": { "by": self.ledger.by(), "token": task.fencing_token }
                }),
            },
        }
    }

    /// Completes or fails one task by a call of its own.
    pub(super) async fn finish_one(&self, task: &Task) -> Result<()> {
        let mut word = self.word(task);
        word.body["agentId"] = self.agent.clone().into();
        self.note(word.about, task, false, "")?;
        let answer = self
            .ask(&format!("tasks/{}/{}", task.task_id, word.path), &word.body)
            .await;
        self.conclude(task, word.done, answer)
    }

    /// Completes or fails several in one call.
    pub(super) async fn finish_all(&self, tasks: &[&Task]) -> Result<()> {
        if tasks.is_empty() {
            return Ok(());
        }
        let mut results = Vec::new();
        let mut words = Vec::new();
        for task in tasks {
            let mut word = self.word(task);
            self.note(word.about, task, false, "together")?;
            word.body["taskId"] = task.task_id.clone().into();
            results.push(word.body.take());
            words.push(word);
        }
        let body = json!({ "agentId": self.agent, "results": results });
        let answer = self.ask("tasks/finish", &body).await;
        let Answer::Said(200, mut answer) = answer else {
            let text = format!("{answer:?}");
            for task in tasks {
                self.held.remove(&task.task_id);
                let what = match answer {
                    Answer::Unclear(_) => What::GaveUp,
                    Answer::Said(..) => What::Unexpected,
                };
                self.note(what, task, false, &text)?;
            }
            return Ok(());
        };
        for (at, (task, word)) in tasks.iter().zip(words).enumerate() {
            let one = answer["results"][at].take();
            let answer = match one["problem"].is_null() {
                true => Answer::Said(200, one),
                false => Answer::Said(409, one["problem"].clone()),
            };
            self.conclude(task, word.done, answer)?;
        }
        Ok(())
    }

    /// Gives a task back.
    pub(super) async fn release(&self, task: &Task) -> Result<()> {
        let body = json!({ "agentId": self.agent, "fencingToken": task.fencing_token });
        let answer = self.ask(&format!("tasks/{}/release", task.task_id), &body).await;
        self.conclude(task, What::Released, answer)
    }

    /// Notes progress; one that is lost or refused does not matter, the end will be refused as well.
    pub(super) async fn progress(&self, task: &Task) -> Result<()> {
        let body = json!({ "agentId": self.agent, "fencingToken": task.fencing_token, "progress": { "half": true } });
        let path = format!("tasks/{}/progress", task.task_id);
        match self.replicas.post(&self.swarm, &path, &body).await {
            Answer::Said(status, body) if status >= 300 && problem(&body) != "lease-lost" => self.note(
                What::Unexpected,
                task,
                false,
                &format!("progress was answered with {status}: {body}"),
            ),
            _ => Ok(()),
        }
    }

    /// Says it until there is a clear answer.
    async fn ask(&self, path: &str, body: &Value) -> Answer {
        let begun = Instant::now();
        loop {
            match self.replicas.post(&self.swarm, path, body).await {
                Answer::Unclear(_) if begun.elapsed() < PATIENCE => tokio::time::sleep(AGAIN).await,
                answer => return answer,
            }
        }
    }

    fn conclude(&self, task: &Task, done: What, answer: Answer) -> Result<()> {
        self.held.remove(&task.task_id);
        match answer {
            Answer::Said(200, body) => self.note(done, task, body["duplicate"] == true, ""),
            Answer::Said(409, body) if problem(&body) == "lease-lost" => self.note(What::Refused, task, false, ""),
            Answer::Said(status, body) => {
                let words = format!("{done:?} was answered with {status}: {body}");
                self.note(What::Unexpected, task, false, &words)
            }
            Answer::Unclear(reason) => self.note(What::GaveUp, task, false, &reason),
        }
    }

    fn note(&self, what: What, task: &Task, duplicate: bool, detail: &str) -> Result<()> {
        self.ledger
            .write(what, &task.task_id, task.fencing_token, duplicate, detail)
    }
}
