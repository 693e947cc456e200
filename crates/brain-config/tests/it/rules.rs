//! What each kind of variable accepts, and the rules between variables.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use brain_config::{
    Config, EmbeddingProvider, LogLevel, Server, Source, Sources, SslMode, StartId, Valid, definitions,
};

fn load(pairs: &[(&str, &str)]) -> Config {
    Config::load(&Sources::from_pairs(pairs.iter().copied()))
        .unwrap()
        .config
}

fn refused(pairs: &[(&str, &str)]) -> Vec<String> {
    match Config::load(&Sources::from_pairs(pairs.iter().copied())) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(|problem| problem.variable.clone()).collect(),
    }
}

fn warned(pairs: &[(&str, &str)]) -> Vec<String> {
    let loaded = Config::load(&Sources::from_pairs(pairs.iter().copied())).unwrap();
    loaded.warnings.iter().map(|warning| warning.variable.clone()).collect()
}

#[test]
fn bounds_are_inclusive() {
    // Some bounds meet a rule between variables, which has its own tests.
    let related = ["STUDIO_BRAIN_EVENT_BUS_POLL_INTERVAL_MS"];
    for definition in definitions() {
        let Valid::Number { min, max, .. } = definition.valid else {
            continue;
        };
        if !related.contains(&definition.name) {
            for inside in [min, max] {
                assert!(
                    refused(&[(definition.name, &inside.to_string())]).is_empty(),
                    "{}",
                    definition.name
                );
            }
        }
        let below = min
            .checked_sub(1)
            .map_or_else(|| "-1".to_owned(), |below| below.to_string());
        for outside in [
            below,
            (max + 1).to_string(),
            "1.5".to_owned(),
            String::new(),
            "12ms".to_owned(),
        ] {
            let names = refused(&[(definition.name, &outside)]);
            assert_eq!(names, [definition.name], "{}={outside}", definition.name);
        }
    }
}

#[test]
fn flags_and_choices_are_case_insensitive() {
    for (text, expected) in [
        ("TRUE", true),
        ("1", true),
        ("Yes", true),
        ("on", true),
        (" off ", false),
        ("NO", false),
        ("0", false),
        ("False", false),
    ] {
        assert_eq!(load(&[("REDIS_CLUSTER", text)]).redis.cluster, expected, "{text}");
    }
    assert_eq!(refused(&[("REDIS_CLUSTER", "maybe")]), ["REDIS_CLUSTER"]);
    assert_eq!(refused(&[("REDIS_CLUSTER", "")]), ["REDIS_CLUSTER"]);
    assert_eq!(load(&[("STUDIO_BRAIN_LOG_LEVEL", "WARN")]).log.level, LogLevel::Warn);
    assert_eq!(
        load(&[("PGSSLMODE", "Verify-Full")]).postgres.ssl_mode,
        SslMode::VerifyFull
    );
    assert_eq!(refused(&[("PGSSLMODE", "verify-ca")]), ["PGSSLMODE"]);
    let provider = load(&[("STUDIO_BRAIN_EMBEDDING_PROVIDER", "none")])
        .memory
        .embedding_provider;
    assert_eq!(provider, EmbeddingProvider::None);
}

#[test]
fn stream_ids() {
    let id = |ms, seq| StartId::Id { ms, seq };
    for (text, expected) in [
        ("$", StartId::Latest),
        ("0-0", id(0, 0)),
        ("0", id(0, 0)),
        ("171-9", id(171, 9)),
    ] {
        assert_eq!(
            load(&[("STUDIO_BRAIN_EVENT_BUS_START_ID", text)]).bus.start_id,
            expected,
            "{text}"
        );
    }
    for text in [
        "",
        "-",
        "1-",
        "-1",
        "+1-0",
        "1-2-3",
        "abc",
        "18446744073709551616-0",
        "$$",
    ] {
        let names = refused(&[("STUDIO_BRAIN_EVENT_BUS_START_ID", text)]);
        assert_eq!(names, ["STUDIO_BRAIN_EVENT_BUS_START_ID"], "{text}");
    }
}

#[test]
fn hosts() {
    for (text, stored) in [
        ("db.example.org", "db.example.org"),
        ("my_db", "my_db"),
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("10.0.0.1", "10.0.0.1"),
        ("/run/postgresql", "/run/postgresql"),
    ] {
        assert_eq!(load(&[("PGHOST", text)]).postgres.host, stored);
    }
    for text in [
        "",
        "http://db",
        "db:5432",
        "a b",
        "a..b",
        "127.1",
        "0x7f000001",
        "[db]",
        "user@db",
        "-db",
        "db-.example",
        "d\nb",
    ] {
        assert_eq!(refused(&[("PGHOST", text)]), ["PGHOST"], "{text:?}");
    }
    assert_eq!(refused(&[("REDIS_HOST", "/run/redis")]), ["REDIS_HOST"]);
}

#[test]
fn hosts_of_skills() {
    let name = "STUDIO_BRAIN_SKILL_SANDBOX_EGRESS_ALLOWLIST";
    let hosts = load(&[(name, "api.example.org, api.example.org:8443,*.example.com,*")]);
    assert_eq!(
        hosts.skills.egress_allowlist,
        ["api.example.org", "api.example.org:8443", "*.example.com", "*"]
    );
    for text in [
        "API.example.org",
        "a.example.",
        "10.0.0.1",
        "a.example:0",
        "a.example:080",
        "https://a.example",
        "[::1]:443",
        "a..b",
    ] {
        assert_eq!(refused(&[(name, text)]), [name], "{text}");
    }
}

#[test]
fn lists() {
    let origins = |text: &str| load(&[("STUDIO_BRAIN_ALLOWED_ORIGINS", text)]).server.allowed_origins;
    assert_eq!(
        origins(" https://A.example/ ,, http://b:80 "),
        ["https://a.example", "http://b"]
    );
    assert_eq!(origins(""), Vec::<String>::new());
    for text in ["*", "null", "https://a.example/path", "a.example", "ftp://a.example"] {
        assert_eq!(
            refused(&[("STUDIO_BRAIN_ALLOWED_ORIGINS", text)]),
            ["STUDIO_BRAIN_ALLOWED_ORIGINS"],
            "{text}"
        );
    }
    let skills = load(&[("STUDIO_BRAIN_SKILL_DENYLIST", "one, two@1.2.3")])
        .skills
        .denylist;
    assert_eq!(skills, ["one", "two@1.2.3"]);
    for text in ["one@", "@1", "one@1@2", "one two"] {
        assert_eq!(
            refused(&[("STUDIO_BRAIN_SKILL_DENYLIST", text)]),
            ["STUDIO_BRAIN_SKILL_DENYLIST"],
            "{text}"
        );
    }
}

#[test]
fn buckets_and_urls() {
    for text in [
        "ab",
        "Upper",
        "-edge",
        "edge-",
        "two..dots",
        "192.168.0.1",
        "under_score",
        &"x".repeat(64),
    ] {
        let names = refused(&[("STUDIO_BRAIN_ARTIFACT_STORE_BUCKET", text)]);
        assert_eq!(names, ["STUDIO_BRAIN_ARTIFACT_STORE_BUCKET"], "{text}");
    }
    for text in [
        "127.0.0.1:9010",
        "s3://bucket",
        "http://",
        "http://u:p@host",
        "http://host/?q",
        "http://host/#f",
    ] {
        let names = refused(&[("STUDIO_BRAIN_ARTIFACT_STORE_ENDPOINT", text)]);
        assert_eq!(names, ["STUDIO_BRAIN_ARTIFACT_STORE_ENDPOINT"], "{text}");
    }
}

#[test]
fn loopback_is_recognised() {
    let loopback = |host: &str| {
        Server {
            host: host.to_owned(),
            ..Config::defaults().server
        }
        .is_loopback()
    };
    for host in [
        "127.0.0.1",
        "127.8.9.1",
        "::1",
        "[::1]",
        "::ffff:127.0.0.1",
        "localhost",
        "LOCALHOST.",
    ] {
        assert!(loopback(host), "{host}");
    }
    for host in [
        "0.0.0.0",
        "::",
        "192.168.1.5",
        "example.org",
        "localhost.example.org",
        "127.0.0.1.example.org",
        "",
    ] {
        assert!(!loopback(host), "{host}");
    }
}

#[test]
fn listening_beyond_this_machine_needs_a_token() {
    assert_eq!(refused(&[("STUDIO_BRAIN_HOST", "0.0.0.0")]), ["STUDIO_BRAIN_HOST"]);
    assert_eq!(
        refused(&[("STUDIO_BRAIN_HOST", "::"), ("STUDIO_BRAIN_ADMIN_TOKEN", " ")]),
        ["STUDIO_BRAIN_HOST"]
    );
    let open = [
        ("STUDIO_BRAIN_HOST", "0.0.0.0"),
        ("STUDIO_BRAIN_ADMIN_TOKEN", "a-long-random-token"),
    ];
    assert_eq!(load(&open).server.host, "0.0.0.0");
    assert_eq!(
        warned(&[("STUDIO_BRAIN_ADMIN_TOKEN", "short")]),
        ["STUDIO_BRAIN_ADMIN_TOKEN"]
    );
    // With a token that cannot be used, the token is the problem.
    let pairs = [
        ("STUDIO_BRAIN_HOST", "0.0.0.0"),
        ("STUDIO_BRAIN_ADMIN_TOKEN", "two words"),
    ];
    assert_eq!(refused(&pairs), ["STUDIO_BRAIN_ADMIN_TOKEN"]);
}

#[test]
fn tls_of_the_artifact_store_follows_its_endpoint() {
    const ENDPOINT: &str = "STUDIO_BRAIN_ARTIFACT_STORE_ENDPOINT";
    const USE_SSL: &str = "STUDIO_BRAIN_ARTIFACT_STORE_USE_SSL";
    let config = load(&[(ENDPOINT, "https://s3.example")]);
    assert!(config.artifacts.use_ssl);
    assert_eq!(config.origins[USE_SSL], Source::Derived);
    assert_eq!(
        refused(&[(ENDPOINT, "https://s3.example"), (USE_SSL, "false")]),
        [USE_SSL]
    );
    assert_eq!(refused(&[(USE_SSL, "true")]), [USE_SSL]);
    assert!(
        load(&[(ENDPOINT, "https://s3.example"), (USE_SSL, "true")])
            .artifacts
            .use_ssl
    );
    assert_eq!(refused(&[(ENDPOINT, "s3.example"), (USE_SSL, "true")]), [ENDPOINT]);
}

#[test]
fn variables_that_need_one_another() {
    assert_eq!(
        refused(&[("STUDIO_BRAIN_OTEL_ENABLED", "true")]),
        ["STUDIO_BRAIN_OTEL_ENDPOINT"]
    );
    assert_eq!(refused(&[("REDIS_USERNAME", "brain")]), ["REDIS_USERNAME"]);
    let slow = ("STUDIO_BRAIN_EVENT_BUS_POLL_INTERVAL_MS", "5000");
    assert_eq!(
        refused(&[slow, ("STUDIO_BRAIN_EVENT_BUS_LEASE_MS", "5000")]),
        ["STUDIO_BRAIN_EVENT_BUS_LEASE_MS"]
    );
    let names = refused(&[slow, ("STUDIO_BRAIN_EVENT_BUS_STUCK_AFTER_MS", "4000")]);
    assert_eq!(names, ["STUDIO_BRAIN_EVENT_BUS_STUCK_AFTER_MS"]);
    assert_eq!(warned(&[("PGSSLROOTCERT", "/etc/ca.pem")]), ["PGSSLROOTCERT"]);
    assert_eq!(
        warned(&[("PGSSLROOTCERT", "/etc/ca.pem"), ("PGSSLMODE", "verify-full")]),
        Vec::<String>::new()
    );
    assert_eq!(
        warned(&[("STUDIO_BRAIN_HTTP_MAX_BODY_BYTES", "2048")]),
        ["STUDIO_BRAIN_EVENT_MAX_BYTES"]
    );
}

#[test]
fn notices_need_a_secret_and_a_way_that_is_allowed() {
    let url = ("STUDIO_BRAIN_APPROVAL_WEBHOOK_URL", "https://hooks.example.org/brain");
    let secret = (
        "STUDIO_BRAIN_WEBHOOK_SIGNING_SECRET",
        "long-enough-to-sign-requests-with",
    );
    assert_eq!(load(&[url, secret]).webhooks.approval_url.unwrap().as_str(), url.1);
    assert_eq!(refused(&[url]), [url.0]);
    let problems = Config::load(&Sources::from_pairs([url])).unwrap_err().to_string();
    assert!(problems.contains(secret.0), "{problems}");

    let plain = (url.0, "http://127.0.0.1:9/hook");
    assert_eq!(refused(&[plain, secret]), [url.0]);
    let allowed = ("STUDIO_BRAIN_WEBHOOK_ALLOWED_ADDRESSES", "127.0.0.1, fd00::/8");
    let webhooks = load(&[plain, secret, allowed]).webhooks;
    let networks: Vec<String> = webhooks.allowed_addresses.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["127.0.0.1/32", "fd00::/8"]);
}

#[test]
fn a_previous_signing_secret_comes_after_another() {
    let previous = (
        "STUDIO_BRAIN_WEBHOOK_PREVIOUS_SIGNING_SECRET",
        "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz",
    );
    assert_eq!(refused(&[previous]), [previous.0]);
    let secret = (
        "STUDIO_BRAIN_WEBHOOK_SIGNING_SECRET",
        "long-enough-to-sign-requests-with",
    );
    assert!(load(&[previous, secret]).webhooks.previous_signing_secret.is_some());
    assert_eq!(refused(&[(secret.0, "too-short")]), [secret.0]);
}
