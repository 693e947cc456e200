//! `/api/tokens` and `/api/whoami`.

use axum::http::Method;
use serde_json::json;

use super::{Described, described, operation::Operation};
use crate::{
    access::{Principal, TokenId, tokens::StoredToken},
    problem::Kind,
    routes::tokens,
};

const OWN_TENANT: &str = "A tenant's administrator sees the tokens of that tenant alone.";

pub(super) const OPERATIONS: &[Described] = &[
    described(Method::GET, "/api/whoami", |it| {
        it.named("whoami", "Who the caller is, and what it may do")
            .gives::<Principal>(200, "The caller.")
    }),
    described(Method::GET, "/api/tokens", |it| {
        it.named("listTokens", "API tokens by id, by page; never their secrets")
            .rule(OWN_TENANT)
            .paged()
            .gives::<tokens::Page>(200, "A page of tokens.")
    }),
    described(Method::POST, "/api/tokens", |it| {
        it.named("createToken", "Make an API token, and show it for the only time")
            .says("The token is `brain_<id>_<secret>`. It is sent as `Authorization: Bearer <token>`.")
            .rule("Nobody gives what they do not have: role, scopes and tenant lie within those of the caller.")
            .body::<tokens::Given>()
            .example(json!({ "name": "builder-1", "role": "agent", "scopes": ["tasks:*"], "bound": true }))
            .gives::<tokens::Receipt>(201, "The token with its secret.")
            .leads_to(201, "getToken", "tokenId", "/tokenId")
            .leads_to(201, "revokeToken", "tokenId", "/tokenId")
            .problems(&[Kind::Rejected])
    }),
    described(Method::GET, "/api/tokens/{tokenId}", |it| {
        of_token(it.named("getToken", "One token; never its secret")).gives_thing::<StoredToken>("The token.")
    }),
    described(Method::DELETE, "/api/tokens/{tokenId}", |it| {
        of_token(it.named("revokeToken", "Revoke a token"))
            .says("It stays to be read. It lets nobody in any more: here at once, at other replicas within a second.")
            .gives::<StoredToken>(200, "The token, revoked.")
            .problems(&[Kind::ForbiddenOrigin])
    }),
];

fn of_token(it: Operation<'_>) -> Operation<'_> {
    it.rule(OWN_TENANT).path::<TokenId>("tokenId", "0123456789abcdef")
}
