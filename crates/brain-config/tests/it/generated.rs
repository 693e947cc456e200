//! The files that are generated from the definitions are current.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::{Path, PathBuf};

use brain_config::{Config, Sources, definition, definitions, reference};

fn top(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file)
}

fn assert_current(file: &str, generated: &str) {
    let written = std::fs::read_to_string(top(file)).unwrap_or_default();
    assert!(
        written == generated,
        "{file} is not what the definitions say; run `cargo xtask generate`"
    );
}

#[test]
fn env_example_is_current() {
    assert_current(".env.example", &reference::env_example());
}

#[test]
fn the_reference_document_is_current() {
    assert_current("docs/ENVIRONMENT_REFERENCE.md", &reference::markdown());
}

#[test]
fn the_example_uncommented_is_the_default_configuration() {
    let example = reference::env_example();
    let settings: String = example
        .lines()
        .filter_map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')))
        .map(|line| format!("{line}\n"))
        .collect();
    let loaded = Config::load(&Sources::default().with_dotenv_text(".env", &settings)).unwrap();
    let values = |config: &Config| config.redacted().into_iter().map(|one| one.value).collect::<Vec<_>>();
    assert_eq!(values(&loaded.config), values(&Config::defaults()));
    assert_eq!(loaded.config.origins.len(), definitions().len());
    assert_eq!(loaded.warnings, []);
}

/// A variable that only compose knows would be invisible to whoever reads the reference.
#[test]
fn each_variable_of_the_compose_file_is_documented() {
    let compose = std::fs::read_to_string(top("compose/compose.yaml")).unwrap();
    let reference = reference::markdown();
    let single = compose.replace("$$", "");
    let names = single
        .split("${")
        .skip(1)
        .map(|rest| rest.split([':', '}', '-', '?']).next().unwrap_or_default());
    let mut seen = 0;
    for name in names {
        assert!(
            definition(name).is_some() || reference.contains(&format!("`{name}`")),
            "{name}"
        );
        seen += 1;
    }
    assert!(seen > 0);
}
