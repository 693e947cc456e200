//! The defaults are those of the original, and every definition reaches its own field.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeSet;
use std::time::Duration;

use brain_config::{Config, ExposeSecret as _, Source, Sources, StartId, Valid, definitions};

#[test]
fn an_empty_environment_gives_the_defaults() {
    let loaded = Config::load(&Sources::default()).unwrap();
    assert_eq!(format!("{:?}", loaded.config), format!("{:?}", Config::defaults()));
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.config.origins.len(), 0);
}

#[test]
fn the_defaults_are_those_that_are_promised() {
    let config = Config::defaults();
    assert_eq!((config.server.host.as_str(), config.server.port), ("127.0.0.1", 8787));
    assert_eq!(
        config.server.allowed_origins,
        ["http://127.0.0.1:5173", "http://localhost:5173"]
    );
    assert!(config.server.admin_token.is_none() && config.server.is_loopback());
    assert_eq!((config.postgres.port, config.postgres.pool_max), (5433, 10));
    assert_eq!(config.postgres.password.expose_secret(), "postgres");
    assert_eq!(config.postgres.query_timeout, Duration::from_secs(5));
    assert_eq!(config.redis.port, 6379);
    assert_eq!((config.bus.batch_size, config.bus.start_id), (512, StartId::Latest));
    assert_eq!(config.bus.poll_interval, Duration::from_millis(750));
    assert_eq!(config.artifacts.endpoint.as_str(), "http://127.0.0.1:9010/");
    assert_eq!(config.memory.dimensions, 1536);
    assert_eq!(config.skills.entry_timeout, Duration::from_secs(15));
    assert!(config.skills.require_pinning && !config.skills.require_signature);
}

/// What is shown for an untouched tree is what the list says, so each accessor reads where it writes.
#[test]
fn the_listing_shows_each_default_as_it_is_defined() {
    for (entry, definition) in Config::defaults().redacted().iter().zip(definitions()) {
        assert_eq!((entry.variable, entry.source), (definition.name, Source::Default));
        match (definition.secret, definition.default) {
            (false, default) => assert_eq!(entry.value, default, "{}", definition.name),
            (true, "") => assert_eq!(entry.value, "[missing]"),
            (true, _) => assert_eq!(entry.value, "[set]"),
        }
    }
}

/// Sets one variable after the other to something else: it alone changes, and no two share a field.
#[test]
fn each_variable_changes_its_own_value_and_no_other() {
    let defaults = Config::defaults().redacted();
    let mut untouched: BTreeSet<&str> = definitions().iter().map(|one| one.name).collect();
    for definition in definitions() {
        let text = match definition.valid {
            Valid::Flag if definition.default == "true" => "false",
            Valid::Flag => "true",
            Valid::Number { min, .. } if min.to_string() != definition.default => &min.to_string(),
            Valid::Number { max, .. } => &max.to_string(),
            Valid::Choice([_]) => {
                // Nothing but the default can be chosen.
                untouched.remove(definition.name);
                continue;
            }
            Valid::Choice(choices) => choices.iter().find(|one| **one != definition.default).unwrap(),
            Valid::HttpUrl => "http://other.example:9/base",
            Valid::Origins => "https://other.example",
            Valid::Issuers => "https://issuer.example/realm",
            Valid::RoleMap => "brain-admins=admin",
            Valid::StreamId => "5-1",
            Valid::SigningSecret => "long-enough-to-sign-requests-with",
            Valid::Networks => "10.0.0.0/8",
            Valid::Password { .. } | Valid::Token if definition.default.is_empty() => "a-long-other-secret",
            // An empty password is the one change of a set secret that a listing shows.
            Valid::Password { empty: true } => "",
            Valid::Password { .. } | Valid::Token => {
                untouched.remove(definition.name);
                continue;
            }
            _ if definition.name == "STUDIO_BRAIN_SKILL_SANDBOX_UIDS" => "300000-300999",
            _ => "other",
        };
        let helpers = [
            ("STUDIO_BRAIN_ADMIN_TOKEN", "long-enough-to-be-a-token"),
            (
                "STUDIO_BRAIN_WEBHOOK_SIGNING_SECRET",
                "long-enough-to-sign-requests-with",
            ),
            ("STUDIO_BRAIN_WEBHOOK_ALLOWED_ADDRESSES", "127.0.0.1"),
            ("STUDIO_BRAIN_OTEL_ENDPOINT", "http://127.0.0.1:4318"),
            ("STUDIO_BRAIN_OIDC_AUDIENCE", "studio-brain"),
            ("STUDIO_BRAIN_SKILL_REGISTRY_ROOT", "root.json"),
            ("REDIS_PASSWORD", "long-enough"),
            ("STUDIO_BRAIN_ARTIFACT_STORE_ENDPOINT", "https://s3.example"),
        ];
        let needs = |name: &str| match definition.name {
            "STUDIO_BRAIN_HOST" => name == "STUDIO_BRAIN_ADMIN_TOKEN",
            "STUDIO_BRAIN_SKILL_REGISTRY_REMOTE_BASE_URL" => name == "STUDIO_BRAIN_SKILL_REGISTRY_ROOT",
            "STUDIO_BRAIN_APPROVAL_WEBHOOK_URL" => name.starts_with("STUDIO_BRAIN_WEBHOOK"),
            "STUDIO_BRAIN_WEBHOOK_PREVIOUS_SIGNING_SECRET" => name == "STUDIO_BRAIN_WEBHOOK_SIGNING_SECRET",
            "STUDIO_BRAIN_OTEL_ENABLED" => name == "STUDIO_BRAIN_OTEL_ENDPOINT",
            "STUDIO_BRAIN_OIDC_ISSUERS" => name == "STUDIO_BRAIN_OIDC_AUDIENCE",
            "REDIS_USERNAME" => name == "REDIS_PASSWORD",
            "STUDIO_BRAIN_ARTIFACT_STORE_USE_SSL" => name == "STUDIO_BRAIN_ARTIFACT_STORE_ENDPOINT",
            _ => false,
        };
        let mut pairs = vec![(definition.name, text)];
        pairs.extend(helpers.into_iter().filter(|(name, _)| needs(name)));
        let loaded = Config::load(&Sources::from_pairs(pairs.clone())).unwrap();

        let changed: Vec<&str> = loaded
            .config
            .redacted()
            .iter()
            .zip(&defaults)
            .filter(|(now, before)| now.value != before.value)
            .map(|(now, _)| now.variable)
            .collect();
        let mut expected: Vec<&str> = pairs.iter().map(|(name, _)| *name).collect();
        expected.sort_by_key(|name| definitions().iter().position(|one| one.name == *name));
        assert_eq!(changed, expected, "{}={text}", definition.name);
        untouched.remove(definition.name);
    }
    assert_eq!(untouched, BTreeSet::new());
}

/// A field without a definition would stay blank for ever.
#[test]
fn each_field_has_a_definition() {
    let config = Config::defaults();
    let fields = |tree: &str, depth: usize| {
        let at_depth = |line: &&str| line.len() - line.trim_start().len() == depth && line.contains(": ");
        tree.lines().filter(at_depth).count()
    };
    // One field is a tree of its own.
    let outer = fields(&format!("{config:#?}"), 8) - 1;
    let inner = fields(&format!("{:#?}", config.server.oidc), 4);
    assert_eq!(outer + inner, definitions().len());
}
