//! What people see: tables, readable times and sizes, and foreign text that cannot control the terminal.

pub(crate) mod escape;
pub(crate) mod health;
pub(crate) mod quantity;
pub(crate) mod table;

use std::io::Write as _;

use serde::Serialize;

/// Writes one text to standard output with a line break at its end.
pub(crate) fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.trim_end_matches('\n').as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Writes a value as an indented JSON document.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(print(&escape::c1_in_json(&serde_json::to_string_pretty(value)?))?)
}

/// Writes a value as one line of JSON.
pub(crate) fn print_json_line(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(print(&escape::c1_in_json(&serde_json::to_string(value)?))?)
}
