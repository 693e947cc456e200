//! Settings of issuers of tokens: OpenID Connect providers whose JSON Web Tokens let callers in.

use std::time::Duration;

use crate::access::Access;
use crate::definition::{Definition, Section};
use crate::valid::Valid;

/// Whose tokens are believed, and what their claims mean.
#[derive(Debug, Clone)]
pub struct Oidc {
    /// The issuers, exactly as their tokens name them; none where there is no list.
    pub issuers: Vec<String>,
    /// The audience that a token must be for.
    pub audience: Option<String>,
    /// Where the claim with the roles is; a dot leads into an object.
    pub role_claim: String,
    /// What the values of that claim mean, each as `value=role`; where there is none they are the names of roles.
    pub role_map: Vec<String>,
    /// Where the claim with the tenant is.
    pub tenant_claim: String,
    /// The tenant of a token that names none; none refuses it.
    pub tenant: Option<String>,
    /// Where the claim with the scopes is; none does not narrow what the role allows.
    pub scope_claim: Option<String>,
    /// How far the clock of an issuer may be off.
    pub clock_skew: Duration,
    /// How long the keys of an issuer are used before they are fetched again.
    pub keys_refresh: Duration,
}

impl Oidc {
    pub(crate) fn blank() -> Self {
        Self {
            issuers: Vec::new(),
            audience: None,
            role_claim: String::new(),
            role_map: Vec::new(),
            tenant_claim: String::new(),
            tenant: None,
            scope_claim: None,
            clock_skew: Duration::ZERO,
            keys_refresh: Duration::ZERO,
        }
    }
}

pub(crate) const DEFINITIONS: &[Definition] = &[
    Definition::new(
        Section::Oidc,
        "STUDIO_BRAIN_OIDC_ISSUERS",
        "",
        Valid::Issuers,
        Access::List(|config| &mut config.server.oidc.issuers),
        "Issuers whose JSON Web Tokens let callers in; their keys are found through /.well-known/openid-configuration.",
    ),
    Definition::new(
        Section::Oidc,
        "STUDIO_BRAIN_OIDC_AUDIENCE",
        "",
        Valid::Text { max: 256 },
        Access::OptionalText(|config| &mut config.server.oidc.audience),
        "Audience that a token must be for; needed with STUDIO_BRAIN_OIDC_ISSUERS.",
    ),
    Definition::new(
        Section::Oidc,
        "STUDIO_BRAIN_OIDC_ROLE_CLAIM",
        "studio_brain_role",
        Valid::Text { max: 256 },
        Access::Text(|config| &mut config.server.oidc.role_claim),
        "Claim with the role, or with several of which the highest counts; a dot leads into an object (realm_access.roles).",
    ),
    Definition::new(
        Section::Oidc,
        "STUDIO_BRAIN_OIDC_ROLE_MAP",
        "",
        Valid::RoleMap,
        Access::List(|config| &mut config.server.oidc.role_map),
        "What the values of the role claim mean; empty takes them as names of roles.",
    ),
    Definition::new(
        Section::Oidc,
        "STUDIO_BRAIN_OIDC_TENANT_CLAIM",
        "studio_brain_tenant",
        Valid::Text { max: 256 },
        Access::Text(|config| &mut config.server.oidc.tenant_claim),
        "Claim with the tenant; a dot leads into an object.",
    ),
    Definition::new(
        Section::Oidc,
        "STUDIO_BRAIN_OIDC_TENANT",
        "",
        Valid::Text { max: 64 },
        Access::OptionalText(|config| &mut config.server.oidc.tenant),
        "Tenant of a token without that claim; empty refuses it.",
    ),
    Definition::new(
        Section::Oidc,
        "STUDIO_BRAIN_OIDC_SCOPE_CLAIM",
        "",
        Valid::Text { max: 256 },
        Access::OptionalText(|config| &mut config.server.oidc.scope_claim),
        "Claim whose scopes (resource:action) narrow what the role allows; empty does not narrow.",
    ),
    Definition::new(
        Section::Oidc,
        "STUDIO_BRAIN_OIDC_CLOCK_SKEW_MS",
        "60000",
        Valid::Number {
            min: 0,
            max: 300_000,
            unit: "milliseconds",
        },
        Access::Millis(|config| &mut config.server.oidc.clock_skew),
        "How far the clock of an issuer may be off.",
    ),
    Definition::new(
        Section::Oidc,
        "STUDIO_BRAIN_OIDC_KEYS_REFRESH_MS",
        "600000",
        Valid::Number {
            min: 1_000,
            max: 86_400_000,
            unit: "milliseconds",
        },
        Access::Millis(|config| &mut config.server.oidc.keys_refresh),
        "How long the keys of an issuer are used before they are fetched again; a key that is not among them is looked for at once.",
    ),
];
