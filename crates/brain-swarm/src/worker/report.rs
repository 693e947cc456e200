//! Says how attempts ended: together where several are ready, again and again while the brain is away.
//!
//! Invariants: a report is repeated until the brain has an opinion or the lease is over, whichever is first; one that is
//! refused does not touch the others.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future;
use tokio::sync::mpsc;

use super::leases::Lease;
use super::link::Link;
use super::transport::Error;
use super::wire::{Finish, Outcome, Release, Settled, TaskResult};
use super::{MOST_RESULTS, schedule};

/// What is to be said about one attempt. It holds the lease, and with it the slot, until it is said.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) lease: Lease,
    pub(super) ending: Ending,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ending {
    Outcome(Outcome),
    /// There was none.
    Release(Duration),
}

/// Sends reports until nobody makes any.
pub(super) async fn run(link: &Arc<Link>, mut reports: mpsc::Receiver<Report>) {
    let mut waiting = Vec::new();
    let mut delays = schedule::BACKOFF.delays();
    loop {
        if waiting.is_empty() {
            delays.reset();
            if reports.recv_many(&mut waiting, MOST_RESULTS).await == 0 {
                return;
            }
        }
        // What became ready meanwhile goes along.
        while waiting.len() < MOST_RESULTS
            && let Ok(report) = reports.try_recv()
        {
            waiting.push(report);
        }
        waiting = send(link, waiting).await;
        if !waiting.is_empty() {
            tokio::time::sleep(delays.next().unwrap_or_default()).await;
        }
    }
}

/// Sends them once and gives back those that are to be sent again.
async fn send(link: &Link, reports: Vec<Report>) -> Vec<Report> {
    let (mut results, mut releases) = (Vec::new(), Vec::new());
    for report in reports {
        if !report.lease.is_held() {
            tracing::warn!(task.id = %report.lease.holding().task_id, "the lease is over, a result is dropped");
            continue;
        }
        match report.ending.clone() {
            Ending::Outcome(outcome) => results.push((report, outcome)),
            Ending::Release(delay) => releases.push((report, delay)),
        }
    }
    let released = future::join_all(releases.into_iter().map(|(report, delay)| release(link, report, delay)));
    let (mut left, released) = future::join(finish(link, results), released).await;
    left.extend(released.into_iter().flatten());
    left
}

async fn release(link: &Link, report: Report, delay: Duration) -> Option<Report> {
    let release = Release {
        agent_id: link.options.agent_id.clone(),
        fencing_token: report.lease.holding().fencing_token,
        delay_ms: schedule::millis(delay),
    };
    let task = &report.lease.holding().task_id;
    let said = link.transport.release(task, &release).await;
    settle(report, said)
}

async fn finish(link: &Link, results: Vec<(Report, Outcome)>) -> Vec<Report> {
    if results.is_empty() {
        return Vec::new();
    }
    let (reports, outcomes): (Vec<Report>, Vec<Outcome>) = results.into_iter().unzip();
    let written = reports.iter().zip(&outcomes).map(|(report, outcome)| TaskResult {
        holding: report.lease.holding().clone(),
        outcome: outcome.clone(),
    });
    let finish = Finish {
        agent_id: link.options.agent_id.clone(),
        results: written.collect(),
    };
    let answers = match link.transport.finish(&finish).await {
        Ok(answers) if fits(&finish, &answers) => answers,
        Ok(_) => {
            let error = Error::Protocol {
                reason: "the results in the answer are not those of the request".to_owned(),
            };
            return all(reports, &error);
        }
        // The request as a whole is refused, as one that is too large: its parts may not be.
        Err(error) if !error.retryable() && reports.len() > 1 => {
            let mut rest: Vec<(Report, Outcome)> = reports.into_iter().zip(outcomes).collect();
            let half = rest.split_off(rest.len() / 2);
            let mut left = Box::pin(self::finish(link, rest)).await;
            left.extend(Box::pin(self::finish(link, half)).await);
            return left;
        }
        Err(error) => return all(reports, &error),
    };
    let answers = answers.into_iter().map(|answer| match answer {
        Settled::Stored { .. } => Ok(()),
        Settled::Refused { problem, .. } => Err(problem.into_error()),
    });
    reports
        .into_iter()
        .zip(answers)
        .filter_map(|(report, answer)| settle(report, answer))
        .collect()
}

fn fits(finish: &Finish, answers: &[Settled]) -> bool {
    let asked = finish.results.iter().map(|result| &result.holding.task_id);
    asked.eq(answers.iter().map(Settled::task_id))
}

fn all(reports: Vec<Report>, error: &Error) -> Vec<Report> {
    reports
        .into_iter()
        .filter_map(|report| settle(report, Err(error.clone())))
        .collect()
}

/// Ends a report or gives it back.
fn settle(report: Report, said: Result<(), Error>) -> Option<Report> {
    let error = said.err()?;
    tracing::warn!(task.id = %report.lease.holding().task_id, error = %error, "a result was not accepted");
    let Report { lease, ending } = report;
    let ending = again(ending, &error)?;
    Some(Report { lease, ending })
}

/// What to say instead, after this error.
fn again(ending: Ending, error: &Error) -> Option<Ending> {
    match error {
        Error::Unavailable { .. } | Error::Protocol { .. } => Some(ending),
        Error::LeaseLost { .. } | Error::NotFound { .. } => None,
        // The work was done, but the brain cannot take it; its attempt must not look like one that is still at it.
        Error::Refused { .. } => matches!(ending, Ending::Outcome(Outcome::Completed { .. })).then(|| {
            Ending::Outcome(Outcome::Failed {
                error: format!("the outputs were {error}"),
                retryable: true,
                retry_after_ms: None,
            })
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn completed() -> Ending {
        Ending::Outcome(Outcome::Completed { outputs: json!({}) })
    }

    fn refused() -> Error {
        Error::Refused {
            problem: "rejected".to_owned(),
            detail: "not an object".to_owned(),
        }
    }

    #[test]
    fn a_report_is_repeated_while_the_brain_is_away() {
        let away = Error::Unavailable {
            reason: String::new(),
            untouched: false,
        };
        assert_eq!(again(completed(), &away), Some(completed()));
    }

    #[test]
    fn a_lost_lease_ends_it() {
        let lost = Error::LeaseLost { detail: String::new() };
        assert_eq!(again(completed(), &lost), None);
        assert_eq!(again(Ending::Release(Duration::ZERO), &lost), None);
    }

    #[test]
    fn outputs_that_are_refused_become_a_failure_which_is_not_repeated() {
        let failure = again(completed(), &refused());
        let Some(Ending::Outcome(Outcome::Failed { ref error, .. })) = failure else {
            panic!("{failure:?}");
        };
        assert_eq!(error, "the outputs were refused (rejected): not an object");
        assert_eq!(failure.and_then(|failure| again(failure, &refused())), None);
    }
}
