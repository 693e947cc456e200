//! What a form does to one thing, and the page that is shown after it.

use std::{fmt::Display, str::FromStr};

use axum::{http::Uri, response::Response};
use brain_swarm::{calls::Scope, ids::ActorId};

use super::{form::Posted, frame::Place, reply};
use crate::{
    access::Caller,
    app::App,
    problem::Problem,
    query::Query,
    routes::{Segment, segment},
};

/// A form that was sent to the address of a thing.
pub(super) struct Action<T> {
    pub(super) id: T,
    pub(super) scope: Scope,
    pub(super) by: Caller,
    /// Who does it: the visitor.
    pub(super) actor: ActorId,
    place: Place,
}

impl<T> Action<T>
where
    T: FromStr,
    T::Err: Display,
{
    pub(super) fn read(
        app: &App,
        (name, path): (&'static str, Segment),
        uri: &Uri,
        posted: &Posted,
    ) -> Result<Self, Problem> {
        let place = Place::of(app, &Query::parse(uri.query(), &["swarmId"])?)?;
        let by = posted.visitor.caller().clone();
        Ok(Self {
            id: segment(name, path)?,
            scope: place.scope(&posted.visitor),
            actor: by.actor(None)?,
            by,
            place,
        })
    }

    /// What leads to a page that says what was done.
    pub(super) fn after(&self, path: &str, word: &str) -> Result<Response, Problem> {
        reply::see(&self.place.with(path, &[("done", word)]))
    }
}

/// A reason as somebody typed it.
pub(super) fn reason(query: &Query<'_>) -> Option<String> {
    let reason = query.text("reason").unwrap_or_default().trim();
    (!reason.is_empty()).then(|| reason.to_owned())
}
