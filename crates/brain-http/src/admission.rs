//! What may come in: sizes, Host and origin, decided from the head of a request alone. Who calls is found out after that.
//!
//! Invariants: where no credential is needed only this machine is served, and a name in the Host header that does not mean
//! this machine is refused (DNS rebinding); a page of a foreign origin changes nothing.

mod host;
mod origin;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version, header},
    response::Response,
};
use brain_config::Server;

pub(crate) use self::origin::expose;
use crate::{
    problem::{Kind, Problem},
    reply,
    routes::{self, Need, RouteId},
};

/// The longest URL, in bytes.
pub(crate) const MAX_URI_BYTES: usize = 8 * 1024;
/// The most header fields. What hyper counts by itself for HTTP/1.
pub(crate) const MAX_HEADERS: usize = 100;
/// The most bytes of header names and values.
pub(crate) const MAX_HEADER_BYTES: usize = 32 * 1024;

/// The rules of one server.
#[derive(Debug)]
pub(crate) struct Admission {
    origins: Vec<HeaderValue>,
    /// Whether requests come from this machine alone.
    local: bool,
}

/// What a request may do.
#[derive(Debug)]
pub(crate) enum Admitted {
    /// Go to its route, whose caller must have this.
    ToRoute(Need),
    /// Nothing more: the answer is complete.
    Answered(Response),
}

impl Admission {
    pub(crate) fn new(config: &Server) -> Self {
        Self {
            origins: config
                .allowed_origins
                .iter()
                .filter_map(|origin| HeaderValue::from_str(origin).ok())
                .collect(),
            local: !config.needs_credentials(),
        }
    }

    /// Decides about a request. `route` is what its path leads to, if anything.
    ///
    /// # Errors
    /// The problem to answer with.
    pub(crate) fn admit(&self, head: &Head<'_>, route: Option<RouteId>) -> Result<Admitted, Problem> {
        check_sizes(head)?;
        let host = host::of(head)?;
        if self.local {
            host::must_be_local(head, host)?;
        }
        let origin = self.origin(head.headers, host);
        if head.method == Method::OPTIONS && origin::is_preflight(head.headers) {
            return match origin {
                Origin::Foreign => Err(foreign("a preflight")),
                Origin::None | Origin::Same | Origin::Allowed => Ok(Admitted::Answered(preflight(route)?)),
            };
        }
        let route = route.ok_or_else(not_found)?;
        let allowed = routes::allow(route);
        let Some(need) = routes::need(route, head.method) else {
            let detail = format!("this path answers to {allowed}");
            return Err(Problem::new(Kind::MethodNotAllowed, detail).allowing(allowed));
        };
        if head.method != Method::GET && head.method != Method::HEAD && origin == Origin::Foreign {
            return Err(foreign("a change"));
        }
        Ok(Admitted::ToRoute(need))
    }

    /// The origin that may read the answer, as the header that says so.
    pub(crate) fn readable_by(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        self.origins.contains(origin).then(|| origin.clone())
    }

    fn origin(&self, headers: &HeaderMap, host: Option<&str>) -> Origin {
        let Some(origin) = headers.get(header::ORIGIN) else {
            return Origin::None;
        };
        if self.origins.contains(origin) {
            return Origin::Allowed;
        }
        match (origin.to_str().ok().and_then(origin::authority), host) {
            (Some(origin), Some(host)) if origin.eq_ignore_ascii_case(host) => Origin::Same,
            _ => Origin::Foreign,
        }
    }
}

/// Where a page that asks comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// No page asks.
    None,
    /// From this server.
    Same,
    /// From an origin of the configuration.
    Allowed,
    /// From anywhere else.
    Foreign,
}

/// The part of a request that admission looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a axum::http::Uri,
    pub(crate) version: Version,
    pub(crate) headers: &'a HeaderMap,
}

impl<'a, B> From<&'a Request<B>> for Head<'a> {
    fn from(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            version: request.version(),
            headers: request.headers(),
        }
    }
}

fn check_sizes(head: &Head<'_>) -> Result<(), Problem> {
    let url = head.uri.path_and_query().map_or(0, |path| path.as_str().len());
    if url > MAX_URI_BYTES {
        let detail = format!("the URL is {url} bytes long, at most {MAX_URI_BYTES} are allowed");
        return Err(Problem::new(Kind::UriTooLong, detail));
    }
    let bytes: usize = head
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if head.headers.len() > MAX_HEADERS || bytes > MAX_HEADER_BYTES {
        let detail = format!(
            "{} header fields with {bytes} bytes, at most {MAX_HEADERS} with {MAX_HEADER_BYTES} are allowed",
            head.headers.len()
        );
        return Err(Problem::new(Kind::HeadersTooLarge, detail));
    }
    Ok(())
}

fn not_found() -> Problem {
    Problem::new(Kind::NotFound, "there is nothing at this path")
}

fn foreign(what: &str) -> Problem {
    let detail = format!("{what} from a page of this origin is not allowed (STUDIO_BRAIN_ALLOWED_ORIGINS)");
    Problem::new(Kind::ForbiddenOrigin, detail)
}

fn preflight(route: Option<RouteId>) -> Result<Response<Body>, Problem> {
    let mut response = reply::empty(StatusCode::NO_CONTENT);
    origin::allow(response.headers_mut(), routes::allow(route.ok_or_else(not_found)?));
    Ok(response)
}

#[cfg(test)]
mod tests;
