//! What a skill asks for: hosts, commands, variables, limits.
//!
//! Invariants: hosts are exact names, as they are compared later, with a port where it is not the usual one; no
//! variable is asked for that would change how the sandbox itself starts a program.

use super::{fields::Fields, json::MAX_NUMBER};

/// The most entries of one list.
const MAX_ENTRIES: usize = 64;
/// Variables that the sandbox sets itself.
const OWN: [&str; 8] = ["PATH", "HOME", "TMPDIR", "USER", "SHELL", "PWD", "ENV", "BASH_ENV"];

/// What a skill asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Permissions {
    /// The hosts that it reaches, each as `name` or `name:port`.
    pub allowed_egress_hosts: Vec<String>,
    /// The commands that it may be asked to run.
    pub commands: Vec<String>,
    /// The names of variables and secrets that it reads.
    pub environment: Vec<String>,
    /// What it needs to run, where the usual is not right.
    pub limits: WantedLimits,
}

/// What a skill needs to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WantedLimits {
    /// Memory of the whole tree of processes.
    pub memory_bytes: Option<u64>,
    /// Processes and threads at a time.
    pub processes: Option<u32>,
    /// Open descriptors of one process.
    pub open_files: Option<u32>,
    /// Bytes in the temporary file system.
    pub scratch_bytes: Option<u64>,
    /// Files in the temporary file system.
    pub scratch_files: Option<u32>,
    /// Seconds on a processor.
    pub cpu_seconds: Option<u64>,
}

pub(super) fn read(fields: &mut Fields<'_>) -> Permissions {
    let Some(members) = fields.optional_object("permissions") else {
        return Permissions::default();
    };
    let mut below = fields.below(members, "permissions.");
    let allowed_egress_hosts = below.list("allowedEgressHosts", MAX_ENTRIES, host);
    let commands = below.list("commands", MAX_ENTRIES, command);
    let environment = below.list("environment", MAX_ENTRIES, variable);
    let limits = limits(&mut below);
    below.finish();
    Permissions {
        allowed_egress_hosts,
        commands,
        environment,
        limits,
    }
}

fn limits(fields: &mut Fields<'_>) -> WantedLimits {
    let Some(members) = fields.optional_object("limits") else {
        return WantedLimits::default();
    };
    let mut below = fields.below(members, "permissions.limits.");
    let mut small = |field| {
        below
            .number(field, 1, u32::MAX.into())
            .and_then(|held| u32::try_from(held).ok())
    };
    let (processes, open_files, scratch_files) = (small("processes"), small("openFiles"), small("scratchFiles"));
    let wanted = WantedLimits {
        memory_bytes: below.number("memoryBytes", 1 << 20, MAX_NUMBER),
        processes,
        open_files,
        scratch_bytes: below.number("scratchBytes", 0, MAX_NUMBER),
        scratch_files,
        cpu_seconds: below.number("cpuSeconds", 1, 1 << 32),
    };
    below.finish();
    wanted
}

fn host(text: &str) -> Result<(), String> {
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    // A last label that begins with a digit is the end of an address in one of its forms (127.1, 0x7f.1).
    let lettered = name
        .rsplit('.')
        .next()
        .is_some_and(|last| last.starts_with(|first: char| first.is_ascii_lowercase()));
    if name.len() > 253 || !name.split('.').all(label) || !lettered {
        return Err("is no host; write its exact name in lower case, without scheme, path, * or last dot".to_owned());
    }
    let port_is_plain = port.is_none_or(|port| {
        port.parse::<u16>()
            .is_ok_and(|number| number > 0 && number.to_string() == port)
    });
    if !port_is_plain {
        return Err("has no port from 1 to 65535 after its colon".to_owned());
    }
    Ok(())
}

fn command(text: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'/' | b'-');
    if text.len() <= 128 && text.bytes().all(plain) && text.as_bytes()[0].is_ascii_alphanumeric() {
        return Ok(());
    }
    Err("is no command; write at most 128 letters, digits and . _ : / -, the first a letter or digit".to_owned())
}

fn variable(text: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    if text.len() > 64 || !text.bytes().all(plain) || text.as_bytes()[0].is_ascii_digit() {
        return Err("is no name of a variable; write at most 64 of A-Z, 0-9 and _".to_owned());
    }
    if OWN.contains(&text) || text.starts_with("LD_") || text.ends_with("_PROXY") {
        return Err("is set by the sandbox itself or changes how programs start; remove it".to_owned());
    }
    Ok(())
}
