//! What may be installed, from whom, and with which permissions: decisions without effects.
//!
//! A reference is one exact version by its type, so there is nothing here that asks for pinning: it cannot be left out.
//!
//! Invariants: what is denied is refused whatever allows it; asking for more than may be granted is refused and
//! never cut down in silence; what was granted is what was asked for.

mod pattern;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::pattern::{Malformed, Pattern};
use crate::{
    SkillRef,
    launch::Limits,
    manifest::{Manifest, Permissions},
    refused::{Refused, Stage},
};

/// The most that is granted to a skill.
#[derive(Debug, Clone, Default)]
pub struct Maximum {
    /// Hosts that may be asked for, as they are written in manifests.
    pub egress_hosts: Vec<Pattern>,
    /// Commands that may be asked for.
    pub commands: Vec<Pattern>,
    /// Variables that may be asked for.
    pub environment: Vec<Pattern>,
    /// The highest limits; where a manifest asks for none, the usual ones apply as far as these allow.
    pub limits: Limits,
}

/// What may be installed.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Whether a digest of its files must be stated, by signed metadata or its manifest.
    pub require_checksum: bool,
    /// Whether signed metadata must vouch for it.
    pub require_signature: bool,
    /// What may be installed; empty: everything.
    pub allow: Vec<Pattern>,
    /// What may not, whatever else allows it.
    pub deny: Vec<Pattern>,
    /// Who may have published it; empty: anybody.
    pub publishers: Vec<Pattern>,
    /// What it may ask for.
    pub maximum: Maximum,
}

impl Default for Policy {
    /// Signed skills that ask for nothing.
    fn default() -> Self {
        Self {
            require_checksum: true,
            require_signature: true,
            allow: Vec::new(),
            deny: Vec::new(),
            publishers: Vec::new(),
            maximum: Maximum::default(),
        }
    }
}

/// What a skill may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Granted {
    /// The hosts that it may reach.
    pub egress_hosts: Vec<String>,
    /// The commands that it may be asked to run.
    pub commands: Vec<String>,
    /// The names of the variables that it is given.
    pub environment: Vec<String>,
    /// What it may use at most.
    pub limits: Limits,
}

impl Policy {
    /// Decides by the reference alone, before anything is fetched.
    ///
    /// # Errors
    /// [`Refused`] at the stage of the policy.
    pub fn admits(&self, reference: &SkillRef) -> Result<(), Refused> {
        let refuse = |reason: String| Err(Refused::at(Stage::Policy, reason));
        if let Some(pattern) = self.deny.iter().find(|pattern| pattern.matches_skill(reference)) {
            return refuse(format!("{reference} is denied by {pattern}, which nothing overrules"));
        }
        if !self.allow.is_empty() && !self.allow.iter().any(|pattern| pattern.matches_skill(reference)) {
            return refuse(format!(
                "{reference} is not on the list of what is allowed; add it there first"
            ));
        }
        Ok(())
    }

    /// Decides about a skill whose manifest is known. A publisher is who signed metadata says published it.
    ///
    /// # Errors
    /// [`Refused`] at the stage of the policy, the signature or the checksum.
    pub fn judge(
        &self,
        reference: &SkillRef,
        publisher: Option<&str>,
        manifest: &Manifest,
    ) -> Result<Granted, Refused> {
        self.admits(reference)?;
        self.vouched(reference, publisher)?;
        if self.require_checksum && publisher.is_none() && manifest.checksum().is_none() {
            let reason = format!("nothing states a digest of the files of {reference}; add a checksum to its manifest");
            return Err(Refused::at(Stage::Checksum, reason));
        }
        self.grant(reference, manifest.permissions())
    }

    fn vouched(&self, reference: &SkillRef, publisher: Option<&str>) -> Result<(), Refused> {
        let reason = match publisher {
            None if self.require_signature || !self.publishers.is_empty() => {
                format!("nobody signed {reference}; install it from a registry whose metadata vouches for it")
            }
            Some(publisher)
                if !self.publishers.is_empty() && !self.publishers.iter().any(|allowed| allowed.matches(publisher)) =>
            {
                format!(
                    "{reference} was published by {publisher:?}, who is not on the list of publishers; add the name"
                )
            }
            _ => return Ok(()),
        };
        Err(Refused::at(Stage::Signature, reason))
    }

    fn grant(&self, reference: &SkillRef, wanted: &Permissions) -> Result<Granted, Refused> {
        let mut over = Vec::new();
        let mut names = |kind: &str, wanted: &[String], allowed: &[Pattern]| {
            let refused = wanted
                .iter()
                .filter(|name| !allowed.iter().any(|pattern| pattern.matches(name)));
            over.extend(refused.map(|name| format!("the {kind} {name}")));
        };
        names("host", &wanted.allowed_egress_hosts, &self.maximum.egress_hosts);
        names("command", &wanted.commands, &self.maximum.commands);
        names("variable", &wanted.environment, &self.maximum.environment);
        let most = self.maximum.limits;
        let usual = Limits::default();
        let asked = wanted.limits;
        let mut limit = |name: &str, wanted: Option<u64>, usual: u64, most: u64| {
            if let Some(wanted) = wanted.filter(|wanted| *wanted > most) {
                over.push(format!("{name} of {wanted}, at most {most} are granted"));
            }
            wanted.unwrap_or(usual).min(most)
        };
        let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let limits = Limits {
            memory_bytes: limit("memoryBytes", asked.memory_bytes, usual.memory_bytes, most.memory_bytes),
            processes: small(limit(
                "processes",
                asked.processes.map(u64::from),
                usual.processes.into(),
                most.processes.into(),
            )),
            open_files: small(limit(
                "openFiles",
                asked.open_files.map(u64::from),
                usual.open_files.into(),
                most.open_files.into(),
            )),
            scratch_bytes: limit(
                "scratchBytes",
                asked.scratch_bytes,
                usual.scratch_bytes,
                most.scratch_bytes,
            ),
            scratch_files: small(limit(
                "scratchFiles",
                asked.scratch_files.map(u64::from),
                usual.scratch_files.into(),
                most.scratch_files.into(),
            )),
            cpu: Duration::from_secs(limit(
                "cpuSeconds",
                asked.cpu_seconds,
                usual.cpu.as_secs(),
                most.cpu.as_secs(),
            )),
            cpu_millis: usual.cpu_millis.min(most.cpu_millis),
        };
        if !over.is_empty() {
            let reason = format!(
                "{reference} asks for more than may be granted: {}; grant that first, or do without it",
                over.join(", ")
            );
            return Err(Refused::at(Stage::Policy, reason));
        }
        Ok(Granted {
            egress_hosts: wanted.allowed_egress_hosts.clone(),
            commands: wanted.commands.clone(),
            environment: wanted.environment.clone(),
            limits,
        })
    }
}

#[cfg(test)]
mod tests;
