//! `brain skill check`: whether a directory can become a bundle, by the rules that installing it has.

use std::path::Path;

use brain_skills::bundle::{self, Bounds, Bundle};
use serde_json::json;

use crate::cli::Format;
use crate::exit::Verdict;
use crate::render::{self, escape::escaped, table::fields};

/// Checks the directory, and prints what it is or what is wrong.
pub(super) fn run(directory: &Path, output: Format) -> anyhow::Result<Verdict> {
    let checked = bundle::read_directory(directory, Bounds::default())
        .map_err(anyhow::Error::from)
        .and_then(|taken| Ok(Bundle::read(taken)?));
    match checked {
        Ok(bundle) => {
            let manifest = &bundle.manifest;
            let checksum = bundle.tree.checksum(manifest.canonical());
            let (skill, digest) = (manifest.reference().to_string(), bundle.tree.digest().to_string());
            match output {
                Format::Json => render::print_json(&json!({
                    "ok": true, "reference": skill, "digest": digest, "checksum": checksum,
                    "files": bundle.tree.files().count(), "bytes": bundle.tree.bytes(),
                }))?,
                Format::Table => render::print(&fields([
                    ("skill", skill),
                    ("description", escaped(manifest.description()).into_owned()),
                    ("files", bundle.tree.files().count().to_string()),
                    ("bytes", bundle.tree.bytes().to_string()),
                    ("digest", digest),
                    ("checksum", checksum.to_string()),
                ]))?,
            }
            Ok(Verdict::Ok)
        }
        Err(error) => {
            let problem = format!("{error:#}");
            match output {
                Format::Json => render::print_json(&json!({ "ok": false, "problem": problem }))?,
                Format::Table => render::print(&format!("NOT USABLE: {}", escaped(&problem)))?,
            }
            Ok(Verdict::NotOk)
        }
    }
}
