//! The linter: what a policy says, and should not, or should say, and does not.

use serde::Serialize;

use super::{
    capability::{ApprovalMode, CapabilityId, Definition},
    policy::Policy,
};

/// What is amiss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(rename = "LintCode")]
pub enum Code {
    /// It has neither owner, rollback plan, escalation path nor risk.
    MetadataMissing,
    /// Nobody answers for it.
    OwnerMissing,
    /// Nobody knows how it is undone.
    RollbackPlanMissing,
    /// Nobody is called when it goes wrong.
    EscalationPathMissing,
    /// Nobody said how bad it can get.
    RiskMissing,
    /// The approval mode says one thing and `requires_approval` another.
    ApprovalModeContradiction,
    /// It changes something, and nobody approves it.
    WriteWithoutApproval,
}

/// One thing that is amiss.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "LintFinding")]
pub struct Finding {
    /// Of which capability.
    pub capability_id: CapabilityId,
    /// What it is.
    pub code: Code,
    /// The same in words, with the remedy.
    pub detail: &'static str,
}

/// Everything that is amiss with a policy, by capability.
#[must_use]
pub fn lint(policy: &Policy) -> Vec<Finding> {
    policy.capabilities().flat_map(|one| of(&one.definition)).collect()
}

fn of(it: &Definition) -> Vec<Finding> {
    let said = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.trim().is_empty());
    let (owner, plan, path) = (said(&it.owner), said(&it.rollback_plan), said(&it.escalation_path));
    let mut found: Vec<(Code, &'static str)> = Vec::new();
    if !owner && !plan && !path && it.risk.is_none() {
        found.push((
            Code::MetadataMissing,
            "it says nothing of owner, risk, rollback_plan and escalation_path",
        ));
    }
    if !owner {
        found.push((Code::OwnerMissing, "name the owner who answers for it"));
    }
    if !plan {
        found.push((
            Code::RollbackPlanMissing,
            "say in rollback_plan how it is undone, or that it cannot be",
        ));
    }
    if !path {
        found.push((
            Code::EscalationPathMissing,
            "say in escalation_path who is called when it goes wrong",
        ));
    }
    if it.risk.is_none() {
        found.push((Code::RiskMissing, "set risk to low, medium, high or critical"));
    }
    if it.requires_approval == (it.approval_mode == ApprovalMode::None) {
        found.push((
            Code::ApprovalModeContradiction,
            "approval_mode is \"none\" exactly where requires_approval is false",
        ));
    }
    if !it.read_only && !it.requires_approval {
        found.push((
            Code::WriteWithoutApproval,
            "it changes something without an approval: set requires_approval, or read_only if it changes nothing",
        ));
    }
    found
        .into_iter()
        .map(|(code, detail)| Finding {
            capability_id: it.id.clone(),
            code,
            detail,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn codes(extra: &str) -> Vec<Code> {
        let text = format!(
            "[[capability]]\nid = \"a\"\ntarget = \"t\"\nexecutor = {{ type = \"webhook\", url = \"https://x.example\" }}\n{extra}"
        );
        lint(&Policy::parse(&text).unwrap())
            .into_iter()
            .map(|one| one.code)
            .collect()
    }

    #[test]
    fn each_rule_finds_what_it_is_for() {
        let all = "owner = \"o\"\nrisk = \"low\"\nrollback_plan = \"p\"\nescalation_path = \"e\"\n";
        let cases: [(String, &[Code]); 9] = [
            (all.to_owned(), &[]),
            (all.replace("owner = \"o\"\n", ""), &[Code::OwnerMissing]),
            (all.replace("\"o\"", "\" \""), &[Code::OwnerMissing]),
            (all.replace("rollback_plan = \"p\"\n", ""), &[Code::RollbackPlanMissing]),
            (
                all.replace("escalation_path = \"e\"\n", ""),
                &[Code::EscalationPathMissing],
            ),
            (all.replace("risk = \"low\"\n", ""), &[Code::RiskMissing]),
            (
                format!("{all}approval_mode = \"none\""),
                &[Code::ApprovalModeContradiction],
            ),
            (format!("{all}requires_approval = false"), &[Code::WriteWithoutApproval]),
            (
                format!("{all}requires_approval = false\nread_only = true\napproval_mode = \"two_person\""),
                &[Code::ApprovalModeContradiction],
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(codes(&text), expected, "{text}");
        }
        assert_eq!(codes("").first(), Some(&Code::MetadataMissing));
    }
}
