//! Rules that concern more than one variable. Each names every variable that could put it right.

use std::collections::BTreeSet;

use secrecy::ExposeSecret as _;

use crate::definition::definition;
use crate::{Config, Problem, Source, SslMode, Warning};

/// Characters of an admin token below which guessing it becomes thinkable.
const GOOD_TOKEN_CHARACTERS: usize = 16;

/// What was found so far.
pub(crate) struct Findings {
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Warning>,
}

/// Checks the tree as a whole. A rule is left out when one of its variables was `refused`, because its
/// field then still holds the default, and settles what follows from other variables.
pub(crate) fn check(config: &mut Config, refused: &BTreeSet<&'static str>, found: &mut Findings) {
    follow_endpoint_scheme(config, refused);
    for rule in RULES {
        if rule.variables.iter().any(|name| refused.contains(name)) {
            continue;
        }
        if let Some(outcome) = (rule.broken)(config) {
            let variable = rule.variables[0];
            found.add(config, variable, outcome);
        }
    }
}

struct Rule {
    /// All that the rule reads; the first is the one that is reported.
    variables: &'static [&'static str],
    broken: fn(&Config) -> Option<Outcome>,
}

enum Outcome {
    /// Completes "must be …".
    Problem(&'static str),
    Warning(&'static str),
}

impl Findings {
    fn add(&mut self, config: &Config, variable: &'static str, outcome: Outcome) {
        match outcome {
            Outcome::Warning(message) => self.warnings.push(Warning::new(variable, message)),
            Outcome::Problem(expected) => {
                let source = config.origins.get(variable).copied().unwrap_or(Source::Default);
                // The accessor hides a secret by itself.
                let value = definition(variable).map(|one| one.access.show(&mut config.clone()));
                let value = value.unwrap_or_default();
                self.problems
                    .push(Problem::shown(variable, &value, source, expected.to_owned()));
            }
        }
    }
}

const ENDPOINT: &str = "STUDIO_BRAIN_ARTIFACT_STORE_ENDPOINT";
const SIGNING_SECRET: &str = "STUDIO_BRAIN_WEBHOOK_SIGNING_SECRET";
const USE_SSL: &str = "STUDIO_BRAIN_ARTIFACT_STORE_USE_SSL";

const RULES: &[Rule] = &[
    Rule {
        variables: &[
            "STUDIO_BRAIN_HOST",
            "STUDIO_BRAIN_ADMIN_TOKEN",
            "STUDIO_BRAIN_AUTH_REQUIRED",
            "STUDIO_BRAIN_OIDC_ISSUERS",
        ],
        broken: |config| {
            let open = !config.server.is_loopback() && !config.server.needs_credentials();
            open.then_some(Outcome::Problem(
                "a loopback address such as 127.0.0.1 while callers need no token; \
                 set STUDIO_BRAIN_ADMIN_TOKEN, STUDIO_BRAIN_AUTH_REQUIRED=true or STUDIO_BRAIN_OIDC_ISSUERS, or bind to 127.0.0.1",
            ))
        },
    },
    Rule {
        variables: &["STUDIO_BRAIN_OIDC_AUDIENCE", "STUDIO_BRAIN_OIDC_ISSUERS"],
        broken: |config| {
            let oidc = &config.server.oidc;
            (!oidc.issuers.is_empty() && oidc.audience.is_none()).then_some(Outcome::Problem(
                "set while STUDIO_BRAIN_OIDC_ISSUERS is, or a token that was given for another service would do; \
                 set it or empty STUDIO_BRAIN_OIDC_ISSUERS",
            ))
        },
    },
    Rule {
        variables: &["STUDIO_BRAIN_ADMIN_TOKEN"],
        broken: |config| {
            let length = config
                .server
                .admin_token
                .as_ref()
                .map(|token| token.expose_secret().len());
            length
                .is_some_and(|length| length < GOOD_TOKEN_CHARACTERS)
                .then_some(Outcome::Warning(
                    "is shorter than 16 characters and could be guessed; use a long random one",
                ))
        },
    },
    Rule {
        variables: &["STUDIO_BRAIN_EVENT_MAX_BYTES", "STUDIO_BRAIN_HTTP_MAX_BODY_BYTES"],
        broken: |config| {
            (config.bus.max_event_bytes > config.server.body_limit).then_some(Outcome::Warning(
                "is larger than STUDIO_BRAIN_HTTP_MAX_BODY_BYTES, so the largest events cannot come over HTTP",
            ))
        },
    },
    Rule {
        variables: &["PGSSLROOTCERT", "PGSSLMODE"],
        broken: |config| {
            let unused = config.postgres.ssl_root_cert.is_some() && config.postgres.ssl_mode != SslMode::VerifyFull;
            unused.then_some(Outcome::Warning(
                "has no effect unless PGSSLMODE is verify-full, the only mode that verifies the server",
            ))
        },
    },
    Rule {
        variables: &["REDIS_USERNAME", "REDIS_PASSWORD"],
        broken: |config| {
            (config.redis.username.is_some() && config.redis.password.is_none()).then_some(Outcome::Problem(
                "empty while REDIS_PASSWORD is not set, since a login needs both; set REDIS_PASSWORD too",
            ))
        },
    },
    Rule {
        variables: &[
            "STUDIO_BRAIN_EVENT_BUS_LEASE_MS",
            "STUDIO_BRAIN_EVENT_BUS_POLL_INTERVAL_MS",
        ],
        broken: |config| {
            (config.bus.lease <= config.bus.poll_interval).then_some(Outcome::Problem(
                "longer than STUDIO_BRAIN_EVENT_BUS_POLL_INTERVAL_MS, or a lease ends while its holder waits for entries",
            ))
        },
    },
    Rule {
        variables: &[
            "STUDIO_BRAIN_EVENT_BUS_STUCK_AFTER_MS",
            "STUDIO_BRAIN_EVENT_BUS_POLL_INTERVAL_MS",
        ],
        broken: |config| {
            (config.bus.stuck_after <= config.bus.poll_interval).then_some(Outcome::Problem(
                "longer than STUDIO_BRAIN_EVENT_BUS_POLL_INTERVAL_MS, or an idle consumer counts as stuck",
            ))
        },
    },
    Rule {
        variables: &[USE_SSL, ENDPOINT],
        broken: |config| {
            let encrypted = config.artifacts.endpoint.scheme() == "https";
            (config.artifacts.use_ssl != encrypted).then_some(Outcome::Problem(
                "in accord with the scheme of STUDIO_BRAIN_ARTIFACT_STORE_ENDPOINT: \
                 true for https://, false for http://, or not set",
            ))
        },
    },
    Rule {
        variables: &["STUDIO_BRAIN_APPROVAL_WEBHOOK_URL", SIGNING_SECRET],
        broken: |config| {
            let webhooks = &config.webhooks;
            (webhooks.approval_url.is_some() && webhooks.signing_secret.is_none()).then_some(Outcome::Problem(
                "empty while STUDIO_BRAIN_WEBHOOK_SIGNING_SECRET is not set, since notices are signed; \
                 set STUDIO_BRAIN_WEBHOOK_SIGNING_SECRET too",
            ))
        },
    },
    Rule {
        variables: &[
            "STUDIO_BRAIN_APPROVAL_WEBHOOK_URL",
            "STUDIO_BRAIN_WEBHOOK_ALLOWED_ADDRESSES",
        ],
        broken: |config| {
            let webhooks = &config.webhooks;
            let plain = webhooks.approval_url.as_ref().is_some_and(|url| url.scheme() == "http");
            (plain && webhooks.allowed_addresses.is_empty()).then_some(Outcome::Problem(
                "an https:// URL unless its address is in STUDIO_BRAIN_WEBHOOK_ALLOWED_ADDRESSES",
            ))
        },
    },
    Rule {
        variables: &["STUDIO_BRAIN_WEBHOOK_PREVIOUS_SIGNING_SECRET", SIGNING_SECRET],
        broken: |config| {
            let webhooks = &config.webhooks;
            (webhooks.previous_signing_secret.is_some() && webhooks.signing_secret.is_none()).then_some(Outcome::Problem(
                "empty while STUDIO_BRAIN_WEBHOOK_SIGNING_SECRET is not set, since it is the secret before that one; \
                 set STUDIO_BRAIN_WEBHOOK_SIGNING_SECRET",
            ))
        },
    },
    Rule {
        variables: &[
            "STUDIO_BRAIN_SKILL_REGISTRY_REMOTE_BASE_URL",
            "STUDIO_BRAIN_SKILL_REGISTRY_ROOT",
        ],
        broken: |config| {
            let skills = &config.skills;
            (skills.registry_remote_base_url.is_some() && skills.registry_root.is_none()).then_some(Outcome::Problem(
                "empty while STUDIO_BRAIN_SKILL_REGISTRY_ROOT is not set, or whoever answers there would be believed; \
                 set STUDIO_BRAIN_SKILL_REGISTRY_ROOT to a root.json that is trusted",
            ))
        },
    },
    Rule {
        variables: &["STUDIO_BRAIN_SKILL_REQUIRE_PINNING"],
        broken: |config| {
            (!config.skills.require_pinning).then_some(Outcome::Warning(
                "is false, but references always name an exact version; remove it",
            ))
        },
    },
    Rule {
        variables: &["STUDIO_BRAIN_SKILL_SANDBOX_ENABLED"],
        broken: |config| {
            (!config.skills.sandbox_enabled).then_some(Outcome::Warning(
                "is false: a skill can do whatever this process can; set it to true for anything that you did not write",
            ))
        },
    },
    Rule {
        variables: &["STUDIO_BRAIN_OTEL_ENDPOINT", "STUDIO_BRAIN_OTEL_ENABLED"],
        broken: |config| {
            (config.telemetry.enabled && config.telemetry.endpoint.is_none()).then_some(Outcome::Problem(
                "an http:// or https:// URL while STUDIO_BRAIN_OTEL_ENABLED is true; \
                 set it or STUDIO_BRAIN_OTEL_ENABLED=false",
            ))
        },
    },
];

/// The flag is left over from a client that took host and port; the scheme says the same.
fn follow_endpoint_scheme(config: &mut Config, refused: &BTreeSet<&'static str>) {
    let encrypted = config.artifacts.endpoint.scheme() == "https";
    let unset = !config.origins.contains_key(USE_SSL) && !refused.contains(USE_SSL);
    if unset && encrypted != config.artifacts.use_ssl {
        config.artifacts.use_ssl = encrypted;
        config.origins.insert(USE_SSL, Source::Derived);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_names_variables_that_exist() {
        for name in RULES.iter().flat_map(|rule| rule.variables) {
            assert!(definition(name).is_some(), "{name} is not a variable");
        }
    }
}
