//! What of a skill is executed.
//!
//! A text is the path of an executable file of the skill. A list is a command: its first member is the path of such
//! a file where it has a `/` (`./run`), and else the name of an interpreter that the sandbox offers; the others are
//! handed to it as they are.
//!
//! Invariant: in what [`Entrypoint::argv`] gives, the first member has a `/` exactly where it is a file of the skill.

use serde_json::Value;

use super::fields;
use crate::bundle::path::{CanonicalPath, Malformed};

/// The most members of a command.
const MAX_ARGUMENTS: usize = 64;

/// What is executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entrypoint {
    /// A file of the skill.
    File {
        /// Its path.
        path: CanonicalPath,
        /// What it is given.
        arguments: Vec<String>,
    },
    /// An interpreter that the sandbox offers.
    Interpreter {
        /// Its name, such as `python3`.
        name: String,
        /// What it is given.
        arguments: Vec<String>,
    },
}

impl Entrypoint {
    /// The command, with files of the skill as `./path`.
    #[must_use]
    pub fn argv(&self) -> Vec<String> {
        let (first, arguments) = match self {
            Self::File { path, arguments } => (format!("./{path}"), arguments),
            Self::Interpreter { name, arguments } => (name.clone(), arguments),
        };
        [first].into_iter().chain(arguments.iter().cloned()).collect()
    }
}

pub(super) fn read(value: Value) -> Result<Entrypoint, String> {
    let file = |text: &str, arguments| {
        let path = text.strip_prefix("./").unwrap_or(text).parse();
        path.map(|path| Entrypoint::File { path, arguments })
            .map_err(|error: Malformed| error.to_string())
    };
    match value {
        Value::Array(members) if members.len() > MAX_ARGUMENTS => Err(format!(
            "it has {} members, at most {MAX_ARGUMENTS} are allowed",
            members.len()
        )),
        Value::Array(members) => {
            let members: Result<Vec<String>, String> =
                members.into_iter().map(|member| fields::text(member, 1024)).collect();
            let mut members = members?.into_iter();
            match members.next() {
                None => Err("it is empty; name what is executed".to_owned()),
                Some(first) if first.contains('/') => file(&first, members.collect()),
                Some(name) if is_interpreter(&name) => Ok(Entrypoint::Interpreter {
                    name,
                    arguments: members.collect(),
                }),
                Some(name) => Err(format!(
                    "{name:?} is no name of an interpreter; write one such as python3, or ./ before the path of a file"
                )),
            }
        }
        text => file(&fields::text(text, 512)?, Vec::new()),
    }
}

fn is_interpreter(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.len() <= 32
        && name.bytes().next().is_some_and(plain)
        && name
            .bytes()
            .all(|byte| plain(byte) || matches!(byte, b'.' | b'-' | b'_'))
}
