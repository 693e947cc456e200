//! The executor of capabilities that are webhooks.
//!
//! Invariants: an order is one request at most, which is never repeated and never redirected; its `webhook-id` is the id of the
//! execution; what the receiver answers counts by its status, and what it never finished answering is unknown.

use async_trait::async_trait;
use bytes::Bytes;
use hyper::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{
    address::Target,
    client::Client,
    exchange::{Answer, Failure},
    output,
};
use crate::governance::executor::{Executor, Fence, Kind, NotSent, Order, Outcome};

/// Where the orders of one capability go. Where a name in it leads is judged for each order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Targets {
    /// What is to be done goes there.
    pub execute: Target,
    /// What is to be undone goes there; without it nothing is.
    pub rollback: Option<Target>,
}

impl Targets {
    fn of(&self, kind: Kind) -> Option<&Target> {
        match kind {
            Kind::Execute => Some(&self.execute),
            Kind::Rollback => self.rollback.as_ref(),
        }
    }
}

/// Carries out the orders of one capability by sending them to its webhook.
#[derive(Debug)]
pub struct WebhookExecutor {
    client: Client,
    targets: Targets,
}

impl WebhookExecutor {
    /// An executor that sends with this client.
    #[must_use]
    pub fn new(client: Client, targets: Targets) -> Self {
        Self { client, targets }
    }
}

/// What a receiver gets.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    r#type: &'static str,
    execution_id: Uuid,
    proposal_id: Uuid,
    capability_id: &'a str,
    tenant_id: &'a str,
    actor_id: &'a str,
    input: &'a RawValue,
}

impl<'a> Body<'a> {
    fn of(order: &'a Order) -> serde_json::Result<Self> {
        Ok(Self {
            r#type: match order.kind {
                Kind::Execute => "capability.execute",
                Kind::Rollback => "capability.rollback",
            },
            execution_id: order.execution_id,
            proposal_id: order.proposal_id,
            capability_id: &order.capability_id,
            tenant_id: order.tenant_id.as_str(),
            actor_id: order.actor_id.as_str(),
            input: serde_json::from_str(&order.input)?,
        })
    }
}

#[async_trait]
impl Executor for WebhookExecutor {
    async fn carry_out(&self, order: &Order, fence: &dyn Fence) -> Outcome {
        let Some(target) = self.targets.of(order.kind) else {
            return refused("the capability has no webhook for rollbacks");
        };
        let body = match Body::of(order).and_then(|body| serde_json::to_vec(&body)) {
            Ok(body) => Bytes::from(body),
            Err(error) => return refused(&format!("the input is not JSON: {error}")),
        };
        let message = (order.execution_id, body);
        outcome(self.client.send(target, message, fence, order.time_limit).await)
    }
}

fn refused(reason: &str) -> Outcome {
    Outcome::NotSent {
        reason: NotSent::Refused(reason.to_owned()),
    }
}

/// What an answer means. A status is the word of the receiver, and a body that is too large to be kept does not change it.
fn outcome(answer: Result<Answer, Failure>) -> Outcome {
    let Answer { status, body, to_all } = match answer {
        Ok(answer) => answer,
        Err(Failure::NotSent(reason)) => return Outcome::NotSent { reason },
        Err(Failure::Cut(reason)) => {
            let reason = format!("the webhook was sent the order, and nobody knows what came of it: {reason}");
            return Outcome::Unknown { reason };
        }
    };
    let output = body.map(|body| output::kept(&body));
    if !status.is_success() {
        return Outcome::Failed {
            error: said(status),
            output,
        };
    }
    if !to_all {
        // Nobody can have done what they have not been told.
        let reason = format!("{} before it had the whole order", said(status));
        return Outcome::Unknown { reason };
    }
    Outcome::Succeeded {
        output: output.unwrap_or_else(|| "null".to_owned()),
    }
}

/// The status in the words of the standard, not in those of the receiver.
pub(super) fn said(status: StatusCode) -> String {
    let redirects = if status.is_redirection() {
        "; redirects are not followed"
    } else {
        ""
    };
    format!("the webhook answered {status}{redirects}")
}
