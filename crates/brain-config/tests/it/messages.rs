//! What a person reads when something is wrong: snapshots of the exact words.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use brain_config::{Config, Sources};

#[test]
fn every_problem_is_reported_at_once() {
    let mut sources = Sources::from_pairs([
        ("STUDIO_BRAIN_HOST", "0.0.0.0"),
        ("STUDIO_BRAIN_LOG_LEVEL", "loud"),
        ("PGPORT", "70000"),
        ("PGPASSWORD", "hunter2\0"),
        ("PGSSLMODE", "always"),
        ("REDIS_PORT", ""),
        ("STUDIO_BRAIN_REDIS_STREAM_NAME", ""),
        ("STUDIO_BRAIN_ARTIFACT_STORE_ENDPOINT", "http://user:hunter2@host"),
        ("STUDIO_BRAIN_EMBEDDING_PROVIDER", "openai"),
        ("STUDIO_BRAIN_OTEL_ENABLED", "yes"),
        ("STUDIO_BRAIN_OTEL_SERVICE_NAME", "two\nlines\u{1b}[2J"),
    ])
    .with_dotenv_text(".env", "STUDIO_BRAIN_PORT=1\nREDIS_PASSWORD=hunter2 and more\n");
    sources.flags.insert("STUDIO_BRAIN_PROT".to_owned(), "8787".to_owned());
    insta::assert_snapshot!(Config::load(&sources).unwrap_err());
}

#[test]
fn warnings_name_the_nearest_variable() {
    let mut sources = Sources::from_pairs([
        ("STUDIO_BRAIN_LOG_LEVL", "debug"),
        ("studio_brain_port", "1"),
        ("STUDIO_BRAIN_SOMETHING_ELSE_ENTIRELY", "x"),
        ("STUDIO_BRAIN_DEV_POSTGRES_BIN", "/usr/lib/postgresql/18/bin"),
        ("STUDIO_BRAIN_SKILL_ALLOWLIST", "one"),
        ("STUDIO_BRAIN_SKILL_SANDBOX_ENABLED", "TRUE"),
        ("UNRELATED", "x"),
    ])
    .with_dotenv_text(".env", "STUDIO_BRAIN_ADMINTOKEN=hunter2\nPGUSER=a\nPGUSER=b\n");
    sources.flags.insert("REDIS_PASSWORD".to_owned(), "hunter2".to_owned());
    let warnings = Config::load(&sources).unwrap().warnings;
    let lines: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn the_redacted_listing() {
    let sources = Sources::from_pairs([
        ("STUDIO_BRAIN_ADMIN_TOKEN", "hunter2-hunter2-hunter2"),
        ("STUDIO_BRAIN_ARTIFACT_STORE_ENDPOINT", "https://s3.example.org"),
        ("PGPASSWORD", ""),
    ]);
    let config = Config::load(&sources).unwrap().config;
    let line = |entry: brain_config::RedactedEntry| format!("{}={} <- {}", entry.variable, entry.value, entry.source);
    insta::assert_snapshot!(config.redacted().into_iter().map(line).collect::<Vec<_>>().join("\n"));
}
