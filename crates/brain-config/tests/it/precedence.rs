//! Which source wins, and what each of them may hold.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;
use std::path::Path;

use brain_config::{Config, Source, Sources};

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn flags_win_over_the_environment_which_wins_over_the_file() {
    let mut sources = Sources::from_pairs([("PGPORT", "2"), ("PGUSER", "environment")])
        .with_dotenv_text(".env", "PGPORT=3\nPGUSER=file\nPGDATABASE=file\n");
    sources.flags = map(&[("PGPORT", "1")]);
    let config = Config::load(&sources).unwrap().config;
    assert_eq!(config.postgres.port, 1);
    assert_eq!(config.postgres.user, "environment");
    assert_eq!(config.postgres.database, "file");
    let source = |name: &str| {
        config
            .redacted()
            .into_iter()
            .find(|entry| entry.variable == name)
            .map(|entry| entry.source)
            .unwrap()
    };
    assert_eq!(source("PGPORT"), Source::Flag);
    assert_eq!(source("PGUSER"), Source::Environment);
    assert_eq!(source("PGDATABASE"), Source::Dotenv);
    assert_eq!(source("PGHOST"), Source::Default);
}

#[test]
fn an_empty_value_unsets_an_optional_variable_of_a_weaker_source() {
    let sources = Sources::from_pairs([("REDIS_PASSWORD", ""), ("STUDIO_BRAIN_SKILL_ALLOWLIST", "")])
        .with_dotenv_text(".env", "REDIS_PASSWORD=weaker\nSTUDIO_BRAIN_SKILL_ALLOWLIST=one\n");
    let config = Config::load(&sources).unwrap().config;
    assert!(config.redis.password.is_none());
    assert_eq!(config.skills.allowlist, Vec::<String>::new());
}

/// Also the regression: a bare `$` in the file became an empty text.
#[test]
fn a_file_is_read_without_touching_the_process_environment() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("settings.env");
    std::fs::write(
        &path,
        "STUDIO_BRAIN_EVENT_BUS_START_ID=$\nSTUDIO_BRAIN_SWARM_ID=from-file\n",
    )
    .unwrap();
    let sources = Sources::from_process(Some(&path), BTreeMap::new()).unwrap();
    assert_eq!(Config::load(&sources).unwrap().config.swarm.swarm_id, "from-file");
    assert!(std::env::var_os("STUDIO_BRAIN_SWARM_ID").is_none());
}

#[test]
fn a_file_that_cannot_be_read_is_named_unless_it_is_the_usual_one() {
    let problems = Sources::from_process(Some(Path::new("absent/brain.env")), BTreeMap::new()).unwrap_err();
    assert!(
        problems
            .to_string()
            .starts_with("absent/brain.env: must be a readable file"),
        "{problems}"
    );
    assert!(Sources::from_process(Some(Path::new(".env")), BTreeMap::new()).is_ok());

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("latin.env");
    std::fs::write(&path, b"PGPASSWORD=caf\xe9\n").unwrap();
    let problems = Sources::from_process(Some(&path), BTreeMap::new()).unwrap_err();
    assert!(
        problems
            .to_string()
            .ends_with("latin.env: must be a text file in UTF-8"),
        "{problems}"
    );
}

#[test]
fn the_process_environment_is_read() {
    let sources = Sources::from_process(None, BTreeMap::new()).unwrap();
    // Whatever runs the test sets PATH, which is none of our variables.
    assert!(std::env::var_os("PATH").is_some() && !sources.environment.contains_key("PATH"));
    for (name, value) in std::env::vars().filter(|(name, _)| name.starts_with("STUDIO_BRAIN_")) {
        assert_eq!(sources.environment.get(&name), Some(&value));
    }
}
