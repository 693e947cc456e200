//! JSON that a command is given: by an option, in a file, or on standard input.

use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::Value;

/// The JSON object in a text; `from` says where it is from.
pub(super) fn object(text: &str, from: &str) -> anyhow::Result<Value> {
    let value: Value = serde_json::from_str(text).with_context(|| format!("{from} is not JSON"))?;
    if !value.is_object() {
        bail!("{from} must hold a JSON object");
    }
    Ok(value)
}

/// The JSON object in a file; `-` is standard input.
pub(super) fn object_in(path: &Path) -> anyhow::Result<Value> {
    let read = match path.as_os_str() == "-" {
        true => std::io::read_to_string(std::io::stdin().lock()),
        false => std::fs::read_to_string(path),
    };
    let text = read.with_context(|| format!("cannot read {}", path.display()))?;
    object(&text, &path.display().to_string())
}
