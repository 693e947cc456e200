//! What governance has of a tenant: how its operations are called, and what they are called about.

use serde_json::{Value, json};

use super::NO_LETTER;
use crate::{brain::Brain, governance};

/// The body of an operation on capabilities; none at all where there is no such operation.
#[allow(
    clippy::option_option,
    reason = "an operation without a body is not one without a case"
)]
pub(super) fn capabilities(path: &str) -> Option<Option<Value>> {
    let reason = json!({"reason": governance::WHY});
    Some(match path.strip_prefix("/api/capabilities")? {
        "/policy/kill-switch" => Some(json!({"enabled": false, "reason": governance::WHY})),
        "/policy/exemptions" => {
            Some(json!({"capabilityId": "mail.send", "expiresInMs": 1000, "reason": governance::WHY}))
        }
        "/delegations" => Some(json!({
            "agentId": "a-1", "scopes": ["capability:*:execute"], "expiresInMs": 1000, "reason": governance::WHY
        })),
        // What fits nothing: it is the caller that is asked about here, and not the arguments.
        "/proposals" => Some(json!({"capabilityId": "mail.send", "rationale": governance::WHY, "summary": ""})),
        "/policy/exemptions/{exemptionId}/revoke"
        | "/quotas/{bucket}/reset"
        | "/delegations/{delegationId}/revoke"
        | "/proposals/{proposalId}/approve"
        | "/proposals/{proposalId}/reject"
        | "/proposals/{proposalId}/reopen"
        | "/proposals/{proposalId}/rollback" => Some(reason),
        "/proposals/{proposalId}/dry-run" | "/proposals/{proposalId}/execute" => None,
        _ => return None,
    })
}

/// One thing of each kind, by its id.
pub(super) struct Governed {
    proposal: String,
    delegation: String,
    exemption: String,
    bucket: String,
}

impl Governed {
    pub(super) fn nothing() -> Self {
        Self {
            proposal: NO_LETTER.to_owned(),
            delegation: NO_LETTER.to_owned(),
            exemption: NO_LETTER.to_owned(),
            bucket: "0".repeat(64),
        }
    }

    pub(super) async fn of(brain: &Brain, token: &str) -> Self {
        let call = async |path: &str, body: Value| -> Value {
            let request = brain.post(&format!("/api/capabilities{path}"));
            let response = request.bearer_auth(token).json(&body).send().await.unwrap();
            let (status, text) = (response.status(), response.text().await.unwrap());
            assert!(status.is_success(), "{path}: {text}");
            serde_json::from_str(&text).unwrap()
        };
        let case = |path: &str| capabilities(path).unwrap().unwrap();
        let id = |made: &Value, name: &str| made[name].as_str().unwrap().to_owned();
        let read = call("/proposals", governance::proposal("mail.read")).await;
        call(&format!("/proposals/{}/execute", id(&read, "proposalId")), json!({})).await;
        let quotas = brain
            .client
            .get(brain.url("/api/capabilities/quotas"))
            .bearer_auth(token);
        let quotas: Value = quotas.send().await.unwrap().json().await.unwrap();
        let made = call("/proposals", governance::proposal("mail.send")).await;
        Self {
            proposal: id(&made, "proposalId"),
            delegation: id(
                &call("/delegations", case("/api/capabilities/delegations")).await,
                "delegationId",
            ),
            exemption: id(
                &call("/policy/exemptions", case("/api/capabilities/policy/exemptions")).await,
                "exemptionId",
            ),
            bucket: id(&quotas["quotas"][0], "bucket"),
        }
    }

    pub(super) fn fill(&self, template: &str) -> String {
        template
            .replace("{proposalId}", &self.proposal)
            .replace("{delegationId}", &self.delegation)
            .replace("{exemptionId}", &self.exemption)
            .replace("{bucket}", &self.bucket)
    }

    /// A text in which what is there looks like what is not.
    pub(super) fn hide(&self, text: &str) -> String {
        let nothing = Self::nothing();
        text.replace(&self.proposal, &nothing.proposal)
            .replace(&self.delegation, &nothing.delegation)
            .replace(&self.exemption, &nothing.exemption)
            .replace(&self.bucket, &nothing.bucket)
    }
}
