//! What went wrong, as a page; who has no session is led to the login.

use askama::Template;
use axum::{
    body::Body,
    http::{HeaderValue, Method, Request, StatusCode, header, response::Parts},
};

use super::{ROOT, is_page, login, reply};
use crate::problem::{Kind, Problem};

/// A request for something of the dashboard.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Where to go on after the login.
    place: Option<String>,
}

#[derive(Template)]
#[template(path = "problem.html")]
struct Page<'a> {
    title: &'static str,
    status: u16,
    detail: &'a str,
    request_id: &'a str,
}

impl Asked {
    pub(crate) fn of<B>(request: &Request<B>) -> Option<Self> {
        let uri = request.uri();
        is_page(uri.path()).then(|| Self {
            place: (request.method() == Method::GET)
                .then(|| uri.path_and_query().map(|place| place.as_str().to_owned()))
                .flatten(),
        })
    }

    /// Completes the answer to a request that was refused.
    pub(crate) fn refused(&self, problem: &Problem, request_id: &HeaderValue, parts: &mut Parts) -> Body {
        problem.headers(&mut parts.headers);
        parts.headers.remove(header::WWW_AUTHENTICATE);
        let answer = if problem.kind() == Kind::Unauthorized {
            reply::see(&login::path(self.place.as_deref().filter(|place| *place != ROOT)))
        } else {
            let page = Page {
                title: problem.title(),
                status: problem.kind().status().as_u16(),
                detail: problem.detail(),
                request_id: request_id.to_str().unwrap_or_default(),
            };
            reply::html(problem.kind().status(), &page)
        };
        let Ok(answer) = answer else {
            parts.status = StatusCode::INTERNAL_SERVER_ERROR;
            return Body::empty();
        };
        let (head, body) = answer.into_parts();
        parts.status = head.status;
        // What axum counted was the empty body before.
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.remove(header::CONTENT_TYPE);
        parts.headers.extend(head.headers);
        body
    }
}
