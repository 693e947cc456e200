//! The capabilities file, as the server and `brain capability check` read it.
//!
//! Invariant: what the one takes the other takes, so that a file that was checked starts.

use std::path::Path;

use brain_swarm::governance::{
    capability::ExecutorSpec,
    policy::{Error, Policy},
    webhook::address::Target,
};

/// The policy in a file whose executors can be made.
pub(crate) fn read(path: &Path) -> Result<Policy, Error> {
    let policy = Policy::load(path)?;
    let problems: Vec<String> = policy
        .capabilities()
        .flat_map(|one| {
            let ExecutorSpec::Webhook { url, rollback_url, .. } = &one.definition.executor;
            let urls = std::iter::once(url).chain(rollback_url);
            let wrong = urls.filter_map(|url| Target::parse(url).err());
            wrong.map(|error| format!("capability {}: executor: {error}", one.definition.id))
        })
        .collect();
    if problems.is_empty() {
        Ok(policy)
    } else {
        Err(Error::Invalid {
            path: path.display().to_string(),
            problems,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_example_is_a_policy_without_findings() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/capabilities.toml");
        let policy = read(path.as_ref()).unwrap();
        assert_eq!(policy.capabilities().count(), 3);
        assert_eq!(brain_swarm::governance::lint::lint(&policy), []);
        let document = include_str!("../../../docs/CAPABILITIES.md");
        let example = std::fs::read_to_string(path).unwrap();
        assert!(
            document.contains(&format!("```toml\n{example}```")),
            "docs/CAPABILITIES.md has the example"
        );
    }

    #[test]
    fn a_url_that_no_executor_can_use_is_a_problem() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("capabilities.toml");
        let text = "[[capability]]\nid = \"a\"\ntarget = \"t\"\nexecutor = { type = \"webhook\", url = \"https://x.example/#f\" }\n";
        std::fs::write(&file, text).unwrap();
        let error = read(&file).unwrap_err().to_string();
        assert!(error.contains("capability a: executor: "), "{error}");
    }
}
