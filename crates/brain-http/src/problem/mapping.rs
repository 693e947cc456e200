//! From the errors of the domain to problems: the only place that knows both.
//!
//! Invariant: the detail is made of what the caller sent and what the documentation says. What the database or a driver
//! said is the cause, for the log.

use brain_connectivity::postgres;
use brain_swarm::{
    audit, calls, dead_letters, decide::Refusal, event::Invalid, governance, governance::decide::ReasonCode,
    ids::InvalidId, publish, schedules, schema,
};

use super::{Fault, Kind, Problem};
use crate::skills;

/// The longest detail about a caller's own text. Such text can be as long as a body.
const MAX_DETAIL_CHARS: usize = 500;
/// The most of what a skill said, in bytes.
const MAX_SAID_BYTES: usize = 1000;

/// Cuts a text that holds what the caller sent.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_DETAIL_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl Kind {
    /// The kind of an event that cannot be read.
    pub(crate) fn of_invalid(error: &Invalid) -> Self {
        match error {
            Invalid::Malformed(_) => Self::MalformedJson,
            Invalid::TooLarge { .. } => Self::EventTooLarge,
            Invalid::Envelope(_) | Invalid::Schema { .. } => Self::InvalidEvent,
        }
    }
}

impl From<Invalid> for Problem {
    fn from(error: Invalid) -> Self {
        Self::new(Kind::of_invalid(&error), shortened(&error.to_string()))
    }
}

impl From<InvalidId> for Problem {
    fn from(error: InvalidId) -> Self {
        Self::new(Kind::InvalidParameter, error.to_string())
    }
}

impl From<postgres::Error> for Problem {
    fn from(error: postgres::Error) -> Self {
        Self::from(&error)
    }
}

impl From<&postgres::Error> for Problem {
    fn from(error: &postgres::Error) -> Self {
        match error.kind() {
            postgres::Kind::Unavailable
            | postgres::Kind::Timeout
            | postgres::Kind::Retryable
            | postgres::Kind::Configuration => Self::new(
                Kind::Unavailable,
                "the database is not available at the moment; try again",
            )
            .caused_by(error),
            postgres::Kind::InvalidData => rejected(error),
            postgres::Kind::Other => Self::internal(error),
        }
    }
}

impl From<skills::Error> for Problem {
    fn from(error: skills::Error) -> Self {
        use brain_skills::{calls, launch, plane, store};
        match &error {
            skills::Error::Unserved(_) => Self::new(Kind::Unavailable, error.to_string()),
            skills::Error::NotInstalled(_) => Self::new(Kind::NotFound, error.to_string()),
            skills::Error::Records(brain_swarm::skills::Error::Database(error)) => Self::from(error),
            skills::Error::Records(brain_swarm::skills::Error::Audit(error)) => Self::from(error),
            skills::Error::Records(other) => Self::new(Kind::SkillRefused, other.to_string()),
            skills::Error::Plane(plane::Error::Refused(refused)) => Self::new(
                Kind::SkillRefused,
                shortened(&format!("{}: {}", refused.stage, refused.reason)),
            ),
            skills::Error::Plane(plane::Error::Unavailable(_)) => Self::new(
                Kind::Unavailable,
                "the registry of skills does not answer at the moment; try again",
            )
            .caused_by(error),
            skills::Error::Plane(plane::Error::Store(
                problem @ (store::Error::NotInstalled(_) | store::Error::Damaged { .. }),
            )) => Self::new(Kind::SkillRefused, shortened(&format!("on this brain: {problem}"))),
            skills::Error::Plane(plane::Error::Store(_) | plane::Error::Failed(_)) => Self::internal(error),
            skills::Error::Plane(plane::Error::Call(failure)) => match failure.error() {
                calls::Error::Exhausted { .. } | calls::Error::BackingOff { .. } => {
                    Self::new(Kind::Overloaded, failure.to_string())
                }
                calls::Error::Closed | calls::Error::Launch(launch::Error::Exhausted(_)) => {
                    Self::new(Kind::Unavailable, failure.to_string())
                }
                calls::Error::Launch(launch::Error::Failed(_)) => Self::internal(failure),
                _ => Self::new(Kind::SkillFailed, told(failure)),
            },
        }
    }
}

/// Why a call has no answer, with the end of what the skill said beside it.
fn told(failure: &brain_skills::calls::Failure) -> String {
    let said = failure.stderr().trim_end();
    let begin = said.len().saturating_sub(MAX_SAID_BYTES);
    let begin = (begin..said.len())
        .find(|at| said.is_char_boundary(*at))
        .unwrap_or(said.len());
    match &said[begin..] {
        "" => shortened(&failure.to_string()),
        end => format!("{}; it said: {end}", shortened(&failure.to_string())),
    }
}

impl From<audit::Error> for Problem {
    fn from(error: audit::Error) -> Self {
        Self::from(&error)
    }
}

impl From<&audit::Error> for Problem {
    fn from(error: &audit::Error) -> Self {
        match error {
            audit::Error::Database(error) => Self::from(error),
            audit::Error::Unwritable(_) | audit::Error::Broken(_) | audit::Error::Unreadable(..) => {
                Self::internal(error)
            }
        }
    }
}

fn rejected(cause: impl std::fmt::Display) -> Problem {
    Problem::new(Kind::Rejected, "the database cannot hold this data; nothing was stored").caused_by(cause)
}

impl From<publish::Error> for Problem {
    fn from(error: publish::Error) -> Self {
        match &error {
            publish::Error::Conflict { .. } => Self::new(Kind::EventConflict, error.to_string()),
            publish::Error::Invalid { faults, of } => misfit(faults, *of),
            publish::Error::Rejected { detail } => rejected(detail),
            publish::Error::Overloaded => Self::new(Kind::Overloaded, error.to_string()),
            publish::Error::Closed => Self::new(Kind::Unavailable, error.to_string()),
            publish::Error::Unavailable(cause) => Self::new(
                Kind::Unavailable,
                "the database is not available at the moment; try again: events that carry their own ids are stored once, \
                 however often they are sent",
            )
            .caused_by(cause),
        }
    }
}

/// Events that do not fit the schemas that are registered for them; said as of events that cannot be read.
fn misfit(faults: &[(usize, Invalid)], of: usize) -> Problem {
    if let ([(_, invalid)], 1) = (faults, of) {
        return Problem::from(invalid.clone());
    }
    let listed = faults.iter().map(|(index, invalid)| Fault {
        index: *index,
        kind: Kind::of_invalid(invalid),
        detail: shortened(&invalid.to_string()),
    });
    let verb = if faults.len() == 1 { "is" } else { "are" };
    let detail = format!("{} of {of} events {verb} not valid; nothing was stored", faults.len());
    Problem::new(Kind::InvalidEvent, detail).with_faults(listed.collect())
}

impl From<calls::Error> for Problem {
    fn from(error: calls::Error) -> Self {
        match &error {
            calls::Error::LeaseLost(refusal) => refused(Kind::LeaseLost, *refusal),
            calls::Error::NotFound(refusal) => refused(Kind::NotFound, *refusal),
            calls::Error::Budget(refusal) => refused(Kind::BudgetExhausted, *refusal),
            calls::Error::Refused(refusal) => refused(Kind::Refused, *refusal),
            calls::Error::OfTask { task, error } => {
                let problem = Self::from((**error).clone());
                problem.about(&format!("task {task}"), "no task of this request was created")
            }
            calls::Error::Cycle(_) => Self::new(Kind::DependencyCycle, error.to_string()),
            calls::Error::Invalid(invalid @ (Invalid::Envelope(_) | Invalid::Schema { .. })) => {
                Self::new(Kind::InvalidRequest, shortened(&invalid.to_string()))
            }
            calls::Error::Invalid(invalid) => Self::from(invalid.clone()),
            calls::Error::Publish(publish::Error::Unavailable(cause)) => Self::new(
                Kind::Unavailable,
                "the database is not available at the moment, and whether the call took effect is open; try again: what \
                 carries a fencing token, a taskId or an idempotencyKey takes effect once",
            )
            .caused_by(cause),
            calls::Error::Publish(publish::Error::Conflict { swarm_id, .. }) => {
                let detail = format!(
                    "an idempotencyKey of this request was used in swarm {swarm_id} before, with other content; use another one"
                );
                Self::new(Kind::EventConflict, detail)
            }
            calls::Error::Publish(error) => Self::from(error.clone()),
            calls::Error::Database(error) => Self::from(&**error),
        }
    }
}

fn refused(kind: Kind, refusal: Refusal) -> Problem {
    let note = refusal.note();
    match remedy(refusal) {
        Some(remedy) => Problem::new(kind, format!("{note}; {remedy}")),
        None => Problem::new(kind, note),
    }
}

/// What the caller can do about it, where the refusal does not say so.
fn remedy(refusal: Refusal) -> Option<&'static str> {
    Some(match refusal {
        Refusal::LeaseLost | Refusal::HeldByAnother => "stop working on it, its result does not count any more",
        Refusal::UnknownAgent => "it joins with POST /api/swarm/agents",
        Refusal::AgentNotLive => "GET /api/swarm/agents?status=live lists those that are",
        Refusal::TaskExists => "choose another taskId, or send an idempotencyKey so that the call can be repeated",
        Refusal::UnknownDependency => "create that one first, or in the same request",
        Refusal::UnknownParent => "create that one first",
        Refusal::UnknownBudget => "POST /api/swarm/budgets makes one",
        Refusal::NoBudget => "name one with budgetId when the task is created",
        Refusal::BudgetPaused | Refusal::BudgetExhausted => "POST /api/swarm/budgets/{budgetId}/raise gives it more",
        Refusal::RunCancelled => "use another run",
        _ => return None,
    })
}

impl From<governance::Error> for Problem {
    fn from(error: governance::Error) -> Self {
        match &error {
            governance::Error::Refused(refusal) => {
                let kind = match refusal.code {
                    ReasonCode::AlreadyExecuted => Kind::AlreadyExecuted,
                    ReasonCode::RateLimited => Kind::RateLimited,
                    ReasonCode::RationaleRequired => Kind::InvalidRequest,
                    _ => Kind::NotAllowed,
                };
                Self::new(kind, shortened(&error.to_string())).decided(refusal.code, refusal.retry_after_seconds)
            }
            governance::Error::NotFound(..) => Self::new(Kind::NotFound, error.to_string()),
            governance::Error::Invalid(_) => Self::new(Kind::InvalidRequest, shortened(&error.to_string())),
            governance::Error::Conflict(_) => Self::new(Kind::Refused, shortened(&error.to_string())),
            governance::Error::NotCanonical(_) => Self::new(
                Kind::InvalidRequest,
                "input: it holds a number that has no canonical form",
            ),
            governance::Error::Audit(error) => Self::from(error),
            governance::Error::Database(error) => Self::from(error),
            governance::Error::Unsettled(cause) => Self::new(Kind::Unavailable, error.to_string()).caused_by(cause),
            governance::Error::Unreadable(error) => Self::internal(error),
        }
    }
}

impl From<schedules::Invalid> for Problem {
    fn from(error: schedules::Invalid) -> Self {
        Self::new(Kind::InvalidSchedule, shortened(&error.to_string()))
    }
}

impl From<schema::Error> for Problem {
    fn from(error: schema::Error) -> Self {
        let kind = match &error {
            schema::Error::BuiltIn(_) | schema::Error::Invalid(_) => Kind::InvalidSchema,
            schema::Error::Taken(..) | schema::Error::NotNext { .. } => Kind::SchemaConflict,
            schema::Error::TooMany(_) => Kind::Refused,
            schema::Error::Incompatible { breaks, .. } => {
                let listed = breaks.iter().enumerate().map(|(index, one)| Fault {
                    index,
                    kind: Kind::IncompatibleSchema,
                    detail: shortened(&one.to_string()),
                });
                return Self::new(Kind::IncompatibleSchema, error.to_string()).with_faults(listed.collect());
            }
            schema::Error::Database(error) => return Self::from(error),
            schema::Error::Audit(error) => return Self::from(error),
        };
        Self::new(kind, shortened(&error.to_string()))
    }
}

impl From<dead_letters::Error> for Problem {
    fn from(error: dead_letters::Error) -> Self {
        match error {
            dead_letters::Error::NotFound(_) => Self::new(Kind::NotFound, error.to_string()),
            dead_letters::Error::NotParked { .. } => Self::new(Kind::NotParked, error.to_string()),
            // The bytes that are wrong may be the stored ones, so it is not the request that is malformed.
            dead_letters::Error::Invalid(Invalid::TooLarge { .. }) => Self::new(Kind::EventTooLarge, error.to_string()),
            dead_letters::Error::Invalid(_) => Self::new(Kind::InvalidEvent, shortened(&error.to_string())),
            dead_letters::Error::Publish(error) => Self::from(error),
            dead_letters::Error::Database(error) => Self::from(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn unavailable() -> postgres::Error {
        postgres::Error::Unavailable {
            reason: "connection refused (10.0.0.7:5432/brain)".to_owned(),
            sqlstate: None,
        }
    }

    #[test]
    fn addresses_and_statements_stay_in_the_log() {
        let problems = [
            Problem::from(unavailable()),
            Problem::from(publish::Error::Unavailable(Arc::new(unavailable()))),
            Problem::from(publish::Error::Rejected {
                detail: "10.0.0.7: check constraint".to_owned(),
            }),
            Problem::from(postgres::Error::Unexpected {
                reason: "10.0.0.7".to_owned(),
            }),
        ];
        for problem in problems {
            assert!(!problem.detail().contains("10.0.0.7"), "{problem:?}");
            assert!(
                problem.cause().is_some_and(|cause| cause.contains("10.0.0.7")),
                "{problem:?}"
            );
        }
    }

    #[test]
    fn a_callers_text_is_not_echoed_at_any_length() {
        let problem = Problem::from(Invalid::Envelope("x".repeat(100_000)));
        assert_eq!(problem.kind(), Kind::InvalidEvent);
        assert!(problem.detail().chars().count() <= MAX_DETAIL_CHARS + 1);
    }
}
