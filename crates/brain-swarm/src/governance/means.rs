//! What carries a capability out, read from its definition: everything about it that can be wrong is wrong here.
//!
//! Invariant: an executor can be made of a [`Means`] without anything that may fail.

use super::{
    capability::ExecutorSpec,
    executor::Kind,
    webhook::{Targets, address::Target},
};
use crate::digest::Digest;

/// The longest name of a command, in bytes.
const MAX_COMMAND_BYTES: usize = 64;

/// What carries a capability out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Means {
    /// Requests to URLs.
    Webhook(Box<Targets>),
    /// Commands of an installed skill.
    Skill(Commands),
}

/// Commands of a skill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commands {
    skill: Box<str>,
    digest: Option<Digest>,
    execute: Box<str>,
    rollback: Option<Box<str>>,
}

impl Commands {
    /// Which skill, as `name@version`.
    #[must_use]
    pub fn skill(&self) -> &str {
        &self.skill
    }

    /// The digest that it must have.
    #[must_use]
    pub const fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The command for an order; none, where it cannot undo.
    #[must_use]
    pub fn of(&self, kind: Kind) -> Option<&str> {
        match kind {
            Kind::Execute => Some(&self.execute),
            Kind::Rollback => self.rollback.as_deref(),
        }
    }
}

impl Means {
    /// Reads what a definition says.
    ///
    /// # Errors
    /// Everything that is wrong with it, each in one sentence.
    pub(super) fn read(spec: &ExecutorSpec) -> Result<Self, Vec<String>> {
        match spec {
            ExecutorSpec::Webhook { url, rollback_url, .. } => {
                let rollback = rollback_url.as_deref().map(Target::parse).transpose();
                match (Target::parse(url), rollback) {
                    (Ok(execute), Ok(rollback)) => Ok(Self::Webhook(Box::new(Targets { execute, rollback }))),
                    (execute, rollback) => {
                        let wrong = execute.err().into_iter().chain(rollback.err());
                        Err(wrong.map(|wrong| wrong.to_string()).collect())
                    }
                }
            }
            ExecutorSpec::Skill {
                skill,
                command,
                rollback_command,
                digest,
                ..
            } => {
                let mut wrong = Vec::new();
                if !is_reference(skill) {
                    wrong.push(format!(
                        "skill {skill:?} is not name@version with an exact version, such as mailer@1.4.0"
                    ));
                }
                let commands = std::iter::once(command).chain(rollback_command);
                wrong.extend(commands.filter(|command| !is_command(command)).map(|command| {
                    format!("command {command:?} is not 1 to {MAX_COMMAND_BYTES} letters, digits, `.`, `_` and `-`")
                }));
                if !wrong.is_empty() {
                    return Err(wrong);
                }
                Ok(Self::Skill(Commands {
                    skill: skill.as_str().into(),
                    digest: *digest,
                    execute: command.as_str().into(),
                    rollback: rollback_command.as_deref().map(Into::into),
                }))
            }
        }
    }
}

/// As far as this crate can tell; whoever runs skills reads it again.
fn is_reference(text: &str) -> bool {
    let plain = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte))
    };
    text.split_once('@').is_some_and(|(name, version)| {
        let numbers = version.split(['-', '+']).next().unwrap_or_default().split('.');
        let numbers: Vec<&str> = numbers.collect();
        let number = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        !name.is_empty() && plain(name) && plain(version) && numbers.len() == 3 && numbers.iter().all(number)
    })
}

fn is_command(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=MAX_COMMAND_BYTES).contains(&text.len()) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn skill(skill: &str, command: &str, rollback: Option<&str>) -> Result<Means, Vec<String>> {
        Means::read(&ExecutorSpec::Skill {
            skill: skill.to_owned(),
            command: command.to_owned(),
            rollback_command: rollback.map(str::to_owned),
            digest: None,
            time_limit_seconds: 30,
        })
    }

    #[test]
    fn a_skill_is_named_exactly() {
        let Ok(Means::Skill(commands)) = skill("mailer@1.4.0-rc.1+b", "send", Some("unsend")) else {
            panic!("it is one");
        };
        assert_eq!(commands.skill(), "mailer@1.4.0-rc.1+b");
        assert_eq!(commands.of(Kind::Execute), Some("send"));
        assert_eq!(commands.of(Kind::Rollback), Some("unsend"));
        for wrong in [
            "",
            "mailer",
            "mailer@",
            "mailer@latest",
            "mailer@1.4",
            "@1.4.0",
            "mailer@1.4.0/..",
            "a b@1.0.0",
        ] {
            assert!(skill(wrong, "send", None).is_err(), "{wrong}");
        }
        for wrong in ["", "a b", "a/b", &"a".repeat(65)] {
            assert_eq!(skill("m@1.0.0", wrong, Some(wrong)).unwrap_err().len(), 2, "{wrong}");
        }
    }
}
