//! Tasks that skills work on: this brain is a worker of the swarm with the capability `skill`.
//!
//! The inputs of such a task are `{"skill": "name@version", "command": "...", "payload": {...}, "timeoutMs": n}`; its outputs are what
//! the skill answered, with the digest that answered. Before a skill begins, the attempt notes which one it is and what confines it.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use anyhow::bail;
use brain_config as config;
use brain_http::skills::{self, Availability, Call, Skills};
use brain_skills::{SkillRef, calls, plane};
use brain_swarm::{
    calls::{Calls, Scope},
    ids::{ActorId, RunId, SwarmId, TenantId},
    worker::{Failure, Job, Options, Worker, direct::Direct},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

/// What tasks for skills ask for.
const CAPABILITY: &str = "skill";
/// The longest time that a task may give its skill.
const LONGEST: Duration = Duration::from_secs(3600);
/// How long it waits for a task in one go: a claim that is on its way is waited for when the brain stops.
const WAIT: Duration = Duration::from_secs(1);
/// How long what runs may go on when the brain stops; with the wait and the cleanup less than the brain gives this part.
const GRACE: Duration = Duration::from_secs(2);
/// After a failure to join, it is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// Works on tasks by skills.
pub(crate) struct Tasks {
    skills: Skills,
    calls: Calls,
    scope: Scope,
    run: RunId,
    agent_id: ActorId,
    concurrency: NonZeroUsize,
}

/// Where tasks are taken from, and by whom.
pub(crate) struct Place<'a> {
    pub(crate) swarm_id: SwarmId,
    pub(crate) run_id: RunId,
    /// A name that no other brain has.
    pub(crate) replica_id: &'a str,
}

/// What a task says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Inputs {
    skill: SkillRef,
    command: String,
    #[serde(default)]
    payload: Map<String, Value>,
    timeout_ms: Option<u64>,
}

impl Tasks {
    /// What works on tasks, where the settings want it and skills are served.
    pub(crate) fn new(
        settings: &config::Skills,
        skills: &Availability,
        calls: Calls,
        place: Place<'_>,
    ) -> anyhow::Result<Option<Self>> {
        let Some(concurrency) = NonZeroUsize::new(settings.tasks) else {
            return Ok(None);
        };
        let skills = match skills {
            Availability::Served(skills) => skills.clone(),
            Availability::Unserved(reason) => {
                bail!("STUDIO_BRAIN_SKILL_TASKS is set, but skills are not served: {reason}")
            }
        };
        Ok(Some(Self {
            skills,
            calls,
            scope: Scope {
                tenant_id: TenantId::single(),
                swarm_id: place.swarm_id,
            },
            run: place.run_id,
            agent_id: ActorId::new(format!("skills-{}", place.replica_id))?,
            concurrency,
        }))
    }

    /// Works until `shutdown`.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            let transport = Direct::new(self.calls.clone(), self.scope.clone(), self.run.clone());
            let options = Options {
                role: "skills".to_owned(),
                capabilities: vec![CAPABILITY.to_owned()],
                concurrency: self.concurrency,
                wait: WAIT,
                grace: GRACE,
                cleanup: Duration::from_secs(1),
                ..Options::new(self.agent_id.clone())
            };
            let (skills, tenant) = (self.skills.clone(), self.scope.tenant_id.clone());
            let worker = Worker::new(transport, options, move |job: Job| {
                let (skills, tenant) = (skills.clone(), tenant.clone());
                async move { work(&skills, &tenant, &job).await }
            });
            match worker.run(shutdown.clone()).await {
                Ok(()) => {}
                Err(error) => tracing::warn!(error = %error, "no tasks can be taken for skills; trying again"),
            }
            shutdown.run_until_cancelled(tokio::time::sleep(AGAIN)).await;
        }
    }
}

async fn work(skills: &Skills, tenant: &TenantId, job: &Job) -> Result<Value, Failure> {
    let inputs: Inputs =
        serde_json::from_value(job.inputs.clone()).map_err(|error| Failure::fatal(format!("inputs: {error}")))?;
    let limit = match inputs.timeout_ms.map(Duration::from_millis) {
        Some(limit) if limit.is_zero() || limit > LONGEST => {
            return Err(Failure::fatal("inputs.timeoutMs is 1 to 3600000, or left out"));
        }
        limit => limit.unwrap_or_else(|| skills.time_limit()),
    };
    let missing: Vec<&str> = skills
        .mechanisms()
        .iter()
        .filter(|one| one.missing().is_some())
        .map(|one| one.mechanism.as_str())
        .collect();
    let begun = json!({"skill": inputs.skill, "command": inputs.command, "timeLimitMs": limit.as_millis() as u64,
        "sandbox": {"mechanisms": skills.mechanisms().len(), "missing": missing}});
    job.progress(begun).await?;
    let call = Call {
        command: inputs.command,
        payload: Value::Object(inputs.payload),
        limit,
    };
    let told: calls::Sink = Arc::new({
        let task = job.task_id.to_string();
        move |event| {
            if let calls::Event::Log { level, message } = event {
                tracing::info!(task.id = task, level = ?level, detail = message, "a skill says");
            }
        }
    });
    let called = skills
        .call_watched(tenant, &inputs.skill, call, (&job.lease, &told))
        .await;
    match called {
        Ok(answered) => Ok(json!({
            "result": answered.result,
            "skill": inputs.skill,
            "digest": answered.digest,
            "durationMs": answered.duration.as_millis() as u64,
            "enforced": answered.enforced.iter().filter(|one| one.missing().is_none()).map(|one| one.mechanism.as_str()).collect::<Vec<_>>(),
        })),
        Err(error) => Err(failure(&error)),
    }
}

/// Whether another attempt may do better.
fn failure(error: &skills::Error) -> Failure {
    let text = error.to_string();
    match error {
        // Somebody else may have it installed.
        skills::Error::Unserved(_) => Failure::release(AGAIN),
        skills::Error::Plane(plane::Error::Call(failed)) => {
            let said = failed.stderr().trim_end();
            let text = match said.is_empty() {
                true => text,
                false => format!(
                    "{text}; it said: {}",
                    said.chars()
                        .rev()
                        .take(1000)
                        .collect::<Vec<_>>()
                        .into_iter()
                        .rev()
                        .collect::<String>()
                ),
            };
            match failed.error().retryable() {
                true => Failure::retry(text),
                false => Failure::fatal(text),
            }
        }
        skills::Error::Plane(plane::Error::Unavailable(_)) | skills::Error::Records(_) => Failure::retry(text),
        _ => Failure::fatal(text),
    }
}
