//! Prints the configuration of this process with every secret hidden, or all that is wrong with it.
//!
//! `cargo run -p brain-config --example show_config`
#![allow(clippy::print_stdout, reason = "an example shows its result")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use brain_config::{Config, Loaded, Problems, Sources};

fn main() -> ExitCode {
    match load() {
        Ok(loaded) => {
            show(&loaded);
            ExitCode::SUCCESS
        }
        Err(problems) => {
            println!("{problems}");
            ExitCode::FAILURE
        }
    }
}

fn load() -> Result<Loaded, Problems> {
    Config::load(&Sources::from_process(Some(Path::new(".env")), BTreeMap::new())?)
}

fn show(loaded: &Loaded) {
    for warning in &loaded.warnings {
        println!("warning: {warning}");
    }
    for entry in loaded.config.redacted() {
        println!("{}={} (from {})", entry.variable, entry.value, entry.source);
    }
}
