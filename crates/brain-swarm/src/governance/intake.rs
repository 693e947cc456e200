//! Intake: what the rules of the policy find in a proposal, when it is made and whenever it is decided about.
//!
//! Invariant: texts within the input are looked at as they are, and not only as JSON writes them: there a line break before a word
//! is a backslash and a letter, and a pattern would not know the word.

use serde_json::Value;

use super::{
    policy::{IntakeRule, Policy},
    proposal::StoredProposal,
    proposals::NewProposal,
};

/// The first rule that finds something in what is proposed; `canonical` is the input as it would be sent.
pub(super) fn in_new<'a>(policy: &'a Policy, new: &NewProposal, canonical: &str) -> Option<&'a IntakeRule> {
    let mut texts = vec![new.rationale.as_str(), new.summary.as_str(), canonical];
    texts.extend(new.expected_effects.iter().map(String::as_str));
    within(&new.input, &mut texts);
    policy.intercepts(&new.capability_id, &texts)
}

/// The same of what was proposed, by the policy as it is now. Arguments that cannot be read are looked at as text.
pub(super) fn in_stored<'a>(policy: &'a Policy, it: &StoredProposal) -> Option<&'a IntakeRule> {
    let input: Value = serde_json::from_str(&it.input).unwrap_or_default();
    let mut texts = vec![it.rationale.as_str(), it.preview.summary.as_str(), it.input.as_str()];
    texts.extend(it.preview.expected_effects.iter().map(String::as_str));
    within(&input, &mut texts);
    policy.intercepts(&it.capability_id, &texts)
}

/// Every text in a value, the names of fields among them. Values have a bounded depth, because they were read as JSON.
fn within<'a>(value: &'a Value, texts: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(items) => items.iter().for_each(|item| within(item, texts)),
        Value::Object(fields) => {
            for (name, value) in fields {
                texts.push(name);
                within(value, texts);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_text_is_looked_at() {
        let value = json!({"a": ["b\nc", {"d": 1, "e": null}], "f": true});
        let mut texts = Vec::new();
        within(&value, &mut texts);
        texts.sort_unstable();
        assert_eq!(texts, ["a", "b\nc", "d", "e", "f"]);
    }
}
