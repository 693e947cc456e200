//! The way of a worker that lives in the same process as the swarm: straight to the calls.

use std::{future::Future, time::Duration};

use async_trait::async_trait;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    transport::{Error, Transport},
    wire::{
        Claim, Claimed, ClaimedTask, Emit, EmittedEvent, Finish, Holding, Outcome, Problem, Progress, Pulse,
        Registration, Release, Reservation, Reserve, Settle, Settled,
    },
};
use crate::{
    calls::{self, Ask, Calls, Finished, Hold, Holder, Scope},
    event::EventType,
    ids::{ActorId, RunId, TaskId},
};

/// How long a call may take, beyond what it waits for tasks.
const PATIENCE: Duration = Duration::from_secs(30);

/// Straight to the calls of a swarm.
#[derive(Clone)]
pub struct Direct {
    calls: Calls,
    scope: Scope,
    run: RunId,
}

impl Direct {
    /// `run`: the run of an agent that names none.
    #[must_use]
    pub fn new(calls: Calls, scope: Scope, run: RunId) -> Self {
        Self { calls, scope, run }
    }

    fn holder(agent: &ActorId, token: crate::ids::FencingToken) -> Holder {
        Holder {
            agent_id: agent.clone(),
            fencing_token: token,
        }
    }
}

#[async_trait]
impl Transport for Direct {
    async fn register(&self, registration: &Registration) -> Result<(), Error> {
        let agent = translated(registration)?;
        within(PATIENCE, self.calls.register_agent(&self.scope, &self.run, agent)).await?;
        Ok(())
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<ClaimedTask>, Error> {
        let wait = Duration::from_millis(claim.wait_ms);
        let ask = Ask {
            agent_id: claim.agent_id.clone(),
            max: claim.max,
            lease: Some(Duration::from_millis(claim.lease_ms)),
            wait,
        };
        let claimed = within(wait + PATIENCE, self.calls.claim(&self.scope, &ask)).await?;
        Ok(translated::<Claimed>(&claimed)?.tasks)
    }

    async fn heartbeat(&self, agent: &ActorId, tasks: &[Holding]) -> Result<Pulse, Error> {
        let holds: Vec<Hold> = tasks
            .iter()
            .map(|holding| Hold {
                task_id: holding.task_id.clone(),
                fencing_token: holding.fencing_token,
            })
            .collect();
        let beat = within(PATIENCE, self.calls.heartbeat(&self.scope, agent, &holds)).await?;
        translated(&beat)
    }

    async fn finish(&self, finish: &Finish) -> Result<Vec<Settled>, Error> {
        let results = finish.results.iter().map(|result| Finished {
            task_id: result.holding.task_id.clone(),
            fencing_token: result.holding.fencing_token,
            outcome: match &result.outcome {
                Outcome::Completed { outputs } => calls::Outcome::Completed {
                    outputs: outputs.clone(),
                },
                Outcome::Failed {
                    error,
                    retryable,
                    retry_after_ms,
                } => calls::Outcome::Failed {
                    error: error.clone(),
                    retryable: *retryable,
                    retry_after: retry_after_ms.map(Duration::from_millis),
                },
            },
        });
        let answers = self.calls.finish_all(&self.scope, &finish.agent_id, results.collect());
        let answers = within(PATIENCE, answers).await?;
        finish
            .results
            .iter()
            .zip(answers)
            .map(|(result, answer)| {
                let task_id = result.holding.task_id.clone();
                match answer {
                    Ok(changed) => Ok(Settled::Stored {
                        task_id,
                        status: changed.status.to_string(),
                        seq: changed.seq,
                        duplicate: changed.duplicate,
                    }),
                    Err(error) if error.retryable() => Err(failure(error)),
                    Err(error) => Ok(Settled::Refused {
                        task_id,
                        problem: Problem {
                            kind: slug(&error).to_owned(),
                            detail: error.to_string(),
                        },
                    }),
                }
            })
            .collect()
    }

    async fn progress(&self, task: &TaskId, progress: &Progress) -> Result<(), Error> {
        let holder = Self::holder(&progress.agent_id, progress.fencing_token);
        let call = self
            .calls
            .progress(&self.scope, task, &holder, progress.progress.clone());
        within(PATIENCE, call).await.map(drop)
    }

    async fn emit(&self, task: &TaskId, emit: &Emit) -> Result<Vec<EmittedEvent>, Error> {
        let holder = Self::holder(&emit.agent_id, emit.fencing_token);
        let mut events = Vec::with_capacity(emit.events.len());
        for event in &emit.events {
            let kind: EventType = event
                .kind
                .parse()
                .map_err(|error: crate::event::Invalid| failure(error.into()))?;
            events.push((kind, event.payload.clone()));
        }
        let emitted = within(PATIENCE, self.calls.emit(&self.scope, task, &holder, events)).await?;
        translated(&emitted)
    }

    async fn release(&self, task: &TaskId, release: &Release) -> Result<(), Error> {
        let released = Finished {
            task_id: task.clone(),
            fencing_token: release.fencing_token,
            outcome: calls::Outcome::Released {
                delay: Duration::from_millis(release.delay_ms),
            },
        };
        let call = self.calls.finish(&self.scope, &release.agent_id, released);
        within(PATIENCE, call).await.map(drop)
    }

    async fn reserve(&self, task: &TaskId, reserve: &Reserve) -> Result<Reservation, Error> {
        let holder = Self::holder(&reserve.agent_id, reserve.fencing_token);
        let units = i64::try_from(reserve.units).unwrap_or(i64::MAX);
        let reserved = within(PATIENCE, self.calls.reserve(&self.scope, task, &holder, units)).await?;
        translated(&reserved)
    }

    async fn settle(&self, task: &TaskId, settle: &Settle) -> Result<Reservation, Error> {
        let holder = Self::holder(&settle.agent_id, settle.fencing_token);
        let units = i64::try_from(settle.units).unwrap_or(i64::MAX);
        let call = self
            .calls
            .settle(&self.scope, task, &holder, &settle.reservation_id, units);
        translated(&within(PATIENCE, call).await?)
    }
}

async fn within<T>(patience: Duration, call: impl Future<Output = Result<T, calls::Error>>) -> Result<T, Error> {
    match tokio::time::timeout(patience, call).await {
        Ok(answer) => answer.map_err(failure),
        Err(_) => Err(Error::Unavailable {
            reason: format!("no answer within {} s", patience.as_secs()),
            untouched: false,
        }),
    }
}

/// From the words of the calls to those of workers, which are the same on the wire.
fn translated<T: DeserializeOwned>(answer: &impl Serialize) -> Result<T, Error> {
    let protocol = |error: serde_json::Error| Error::Protocol {
        reason: error.to_string(),
    };
    serde_json::from_value(serde_json::to_value(answer).map_err(protocol)?).map_err(protocol)
}

/// The kind of problem as the HTTP interface calls it.
fn slug(error: &calls::Error) -> &'static str {
    match error {
        calls::Error::LeaseLost(_) => "lease-lost",
        calls::Error::NotFound(_) => "not-found",
        calls::Error::Budget(_) => "budget-exhausted",
        calls::Error::Cycle(_) => "dependency-cycle",
        calls::Error::Invalid(_) => "invalid-event",
        calls::Error::OfTask { error, .. } => slug(error),
        _ => "refused",
    }
}

fn failure(error: calls::Error) -> Error {
    let detail = error.to_string();
    match &error {
        calls::Error::LeaseLost(_) => Error::LeaseLost { detail },
        calls::Error::NotFound(_) => Error::NotFound { detail },
        other if other.retryable() => Error::Unavailable {
            reason: detail,
            untouched: matches!(
                other,
                calls::Error::Publish(crate::publish::Error::Overloaded | crate::publish::Error::Closed)
            ),
        },
        other => Error::Refused {
            problem: slug(other).to_owned(),
            detail,
        },
    }
}
