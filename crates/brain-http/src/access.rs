//! Who calls, and what they may do: roles, scopes, tokens, tenants.
//!
//! Invariants: every answer of a route that is not public is given to a principal; the tenant of whatever a handler reads
//! or changes is the one of its principal and comes from nowhere else; no secret of a token is stored, logged or shown after
//! its creation.

pub(crate) mod duty;
pub(crate) mod gate;
pub(crate) mod limits;
mod oidc;
pub(crate) mod principal;
mod role;
mod scope;
pub(crate) mod sessions;
mod token;
pub mod tokens;

pub use crate::routes::{Need, operations};

pub(crate) use self::principal::{Caller, Principal};
pub use self::{
    role::Role,
    scope::{InvalidScope, Scope, Scopes},
    token::{InvalidToken, Token, TokenId},
};
