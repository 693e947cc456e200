//! What makes two calls alike enough to be served by one worker.
//!
//! Invariants: everything that a program can tell from its surroundings is in the key; secrets are in it only as part of a digest.

use crate::{calls::Skill, digest::Digest};

/// What makes two calls alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    digest: Digest,
    tenant: String,
    surroundings: Digest,
}

impl Key {
    pub(super) fn new(skill: &Skill, tenant: &str) -> Self {
        let program = &skill.program;
        // The form for debugging quotes and escapes each text, so that no two different values look alike.
        let surroundings = format!(
            "{:?}",
            (
                &skill.protocol,
                &program.code,
                &program.argv,
                &program.environment,
                &program.limits,
                &program.egress,
                &program.mounts,
            )
        );
        Self {
            digest: program.digest,
            tenant: tenant.to_owned(),
            surroundings: Digest::of(surroundings.as_bytes()),
        }
    }

    pub(super) fn digest(&self) -> &Digest {
        &self.digest
    }

    pub(super) fn tenant(&self) -> &str {
        &self.tenant
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::{collections::BTreeMap, sync::Arc};

    use super::*;
    use crate::{
        calls::Protocol,
        egress::Allowlist,
        launch::{Limits, Mount, Program},
    };

    #[test]
    fn whatever_differs_makes_another_key() {
        let skill = Skill {
            program: Program {
                digest: Digest::of(b"tree"),
                code: "code".into(),
                argv: vec!["a".into(), "b".into()],
                environment: BTreeMap::from([("NAME".into(), "secret".into())]),
                limits: Limits::default(),
                egress: Arc::default(),
                mounts: vec![],
            },
            protocol: Protocol::JsonRpc,
        };
        let changes: [fn(&mut Skill); 9] = [
            |skill| skill.program.digest = Digest::of(b"other"),
            |skill| skill.program.code = "other".into(),
            |skill| skill.program.argv = vec!["a\", \"b".into()],
            |skill| skill.program.environment = BTreeMap::from([("NAME".into(), "other".into())]),
            |skill| skill.program.environment = BTreeMap::new(),
            |skill| skill.program.limits.processes += 1,
            |skill| skill.program.egress = Arc::new(Allowlist::parse(["a.example"]).unwrap()),
            |skill| {
                skill.program.mounts = vec![Mount {
                    host: "a".into(),
                    inside: "/data/a".into(),
                    writable: true,
                }];
            },
            |skill| skill.protocol = Protocol::Mcp { tools: None },
        ];
        let key = Key::new(&skill, "tenant");
        assert_eq!(key, Key::new(&skill.clone(), "tenant"));
        assert_ne!(key, Key::new(&skill, "other"));
        for (at, change) in changes.iter().enumerate() {
            let mut other = skill.clone();
            change(&mut other);
            assert_ne!(key, Key::new(&other, "tenant"), "{at}");
        }
        assert!(!format!("{key:?}").contains("secret"));
    }
}
