//! Carries out orders of governance by commands of skills.
//!
//! Invariants: nothing of an order reaches a skill before the fence let it pass; the fence is held until the order is written, and no
//! longer; whatever came after that and is no answer of the skill is unknown.

use std::sync::Mutex;

use async_trait::async_trait;
use brain_http::skills::{self, Availability, Call};
use brain_skills::{SkillRef, calls, plane};
use brain_swarm::governance::{
    executor::{Executor, Fence, NotSent, Order, Outcome},
    means::Commands,
};
use serde_json::Value;

/// Carries out the orders of one capability by an installed skill.
pub(crate) struct SkillExecutor {
    skills: Availability,
    commands: Commands,
}

impl std::fmt::Debug for SkillExecutor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SkillExecutor")
            .field("commands", &self.commands)
            .finish_non_exhaustive()
    }
}

/// The fence, as calls of skills know it.
struct Gate<'a> {
    fence: &'a dyn Fence,
    /// What the fence said when it did not open.
    closed: Mutex<Option<NotSent>>,
    /// Whether it opened: then something may have happened.
    passed: std::sync::atomic::AtomicBool,
}

#[async_trait]
impl calls::Gate for Gate<'_> {
    async fn pass(&self) -> Result<calls::Held, String> {
        match self.fence.pass().await {
            Ok(passing) if passing.holds() => {
                self.passed.store(true, std::sync::atomic::Ordering::SeqCst);
                Ok(Box::new(passing))
            }
            Ok(_) => Err("the passing was over before it was used".to_owned()),
            Err(reason) => {
                let text = reason.to_string();
                *self.closed.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(reason);
                Err(text)
            }
        }
    }
}

impl SkillExecutor {
    pub(crate) fn new(skills: Availability, commands: Commands) -> Self {
        Self { skills, commands }
    }
}

#[async_trait]
impl Executor for SkillExecutor {
    async fn carry_out(&self, order: &Order, fence: &dyn Fence) -> Outcome {
        let Some(command) = self.commands.of(order.kind) else {
            return refused("the capability has no command for rollbacks");
        };
        let skills = match self.skills.served() {
            Ok(skills) => skills,
            Err(error) => return unreachable(error.to_string()),
        };
        let skill: SkillRef = match self.commands.skill().parse() {
            Ok(skill) => skill,
            Err(error) => return refused(&format!("{error}")),
        };
        let input: Value = match serde_json::from_str(&order.input) {
            Ok(input) => input,
            Err(error) => return refused(&format!("the input is not JSON: {error}")),
        };
        let call = Call {
            command: command.to_owned(),
            // Exactly what was approved.
            payload: input,
            limit: order.time_limit,
        };
        let gate = Gate {
            fence,
            closed: Mutex::default(),
            passed: false.into(),
        };
        let called = skills
            .call_through(&order.tenant_id, (&skill, self.commands.digest()), call, &gate)
            .await;
        let passed = gate.passed.load(std::sync::atomic::Ordering::SeqCst);
        match called {
            Ok(answered) => Outcome::Succeeded {
                output: answered.result.to_string(),
            },
            Err(skills::Error::Plane(plane::Error::Call(failure))) if passed => match failure.error() {
                calls::Error::Refused(error) => Outcome::Failed {
                    error: format!("the skill says: {error}"),
                    output: error.data.as_ref().map(ToString::to_string),
                },
                calls::Error::UnknownTool(_) => refused(&failure.to_string()),
                _ => Outcome::Unknown {
                    reason: format!("the skill was given the order, and nobody knows what came of it: {failure}"),
                },
            },
            Err(error) if passed => Outcome::Unknown {
                reason: format!("the skill was given the order, and nobody knows what came of it: {error}"),
            },
            Err(error) => {
                let closed = gate
                    .closed
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .take();
                match (closed, error) {
                    (Some(reason), _) => Outcome::NotSent { reason },
                    (None, error @ (skills::Error::Unserved(_) | skills::Error::Records(_))) => {
                        unreachable(error.to_string())
                    }
                    (None, skills::Error::Plane(plane::Error::Call(failure))) if failure.error().retryable() => {
                        unreachable(failure.to_string())
                    }
                    (None, error) => refused(&error.to_string()),
                }
            }
        }
    }
}

fn refused(reason: &str) -> Outcome {
    Outcome::NotSent {
        reason: NotSent::Refused(reason.to_owned()),
    }
}

fn unreachable(reason: String) -> Outcome {
    Outcome::NotSent {
        reason: NotSent::Unreachable(reason),
    }
}
