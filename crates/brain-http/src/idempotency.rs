//! `Idempotency-Key`: a change that is asked for again, because its answer was lost, is answered as it was.
//!
//! Invariants: a key belongs to one caller and to one request: the same with another body is refused; while the first is being
//! answered a second is told to wait; an answer that says "try again" is not kept; no answer that holds a secret is.
//!
//! Between an effect and the note of its answer the process can die. The request is then done again when it is sent again:
//! what has its own ids takes effect once all the same.

mod store;

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use self::store::Keyed;
use crate::{
    access::Caller,
    app::App,
    body,
    problem::{Kind, Problem},
    query::invalid,
};

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer is one that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The longest key, in bytes.
const MAX_KEY_BYTES: usize = 128;
/// How long a key is kept.
pub(super) const LIFE: Duration = Duration::from_secs(24 * 3600);
/// The largest answer that is kept, in bytes.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;
/// With each of so many keys some old ones are removed.
const SWEEP_EVERY: u64 = 256;

/// The key of a request.
#[derive(Debug)]
pub(crate) struct Key(String);

/// The right to answer a request.
#[derive(Debug)]
struct Claim {
    keyed: Keyed,
    started_at: Timestamp,
}

/// The key that a request carries, where it matters.
///
/// # Errors
/// A problem when it is no key.
pub(crate) fn key_of(method: &Method, headers: &HeaderMap) -> Result<Option<Key>, Problem> {
    if method.is_safe() {
        return Ok(None);
    }
    let mut given = headers.get_all(&HEADER).iter();
    let (Some(key), None) = (given.next(), given.next()) else {
        return match headers.contains_key(&HEADER) {
            true => Err(invalid("Idempotency-Key", "it is given twice")),
            false => Ok(None),
        };
    };
    let text = key.to_str().unwrap_or_default().trim();
    // The standard writes it as a string, in quotes; most callers do not.
    let text = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text);
    if text.is_empty() || text.len() > MAX_KEY_BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let rule = format!("it must be 1 to {MAX_KEY_BYTES} visible ASCII characters without spaces");
        return Err(invalid("Idempotency-Key", &rule));
    }
    Ok(Some(Key(text.into())))
}

/// Answers a request that carries a key: with what was answered before, else with what `handle` makes of it.
///
/// The caller may hang up: run this where it is not dropped then.
pub(crate) async fn once<F>(
    app: &App,
    (caller, request_id): (&Caller, &str),
    key: Key,
    request: Request,
    handle: impl FnOnce(Request) -> F,
) -> Response
where
    F: Future<Output = Response>,
{
    match begin(app, caller, &key, request).await {
        Ok(Begun::Before(response)) => response,
        Ok(Begun::First(first)) => {
            let (claim, request) = *first;
            let response = handle(request).await;
            keep(app, claim, request_id, response).await
        }
        Err(problem) => problem.into_response(),
    }
}

enum Begun {
    Before(Response),
    First(Box<(Claim, Request)>),
}

async fn begin(app: &App, caller: &Caller, key: &Key, request: Request) -> Result<Begun, Problem> {
    let (parts, body) = request.into_parts();
    let mut to_read = Request::new(body);
    to_read.extensions_mut().insert(caller.clone());
    let bytes = body::read(to_read, app.body_limits).await?;
    let digest = digest(
        &parts.method,
        parts.uri.path_and_query().map_or("", |target| target.as_str()),
        parts.headers.get(header::CONTENT_TYPE),
        &bytes,
    );
    let keyed = Keyed::new(caller, &key.0, digest);
    let postgres = &app.services.postgres;
    if let Some(claim) = keyed.begin(postgres, app.longest_answer()).await? {
        if app.count_key().is_multiple_of(SWEEP_EVERY) {
            let postgres = postgres.clone();
            tokio::spawn(async move {
                if let Err(error) = store::sweep(&postgres).await {
                    tracing::warn!(error = %error, "old idempotency keys could not be removed");
                }
            });
        }
        let request = Request::from_parts(parts, Body::from(bytes));
        return Ok(Begun::First(Box::new((claim, request))));
    }
    match keyed.kept(postgres).await? {
        Some(kept) if kept.digest != digest => Err(Problem::new(
            Kind::KeyReused,
            "this Idempotency-Key was used for another request; a new request needs a new key",
        )),
        Some(store::Kept {
            answer: Some((status, kind, body)),
            ..
        }) => Ok(Begun::Before(replay(status, kind.as_deref(), body)?)),
        // It may have been forgotten between the two looks: the caller comes again.
        Some(_) | None => Err(Problem::new(
            Kind::InProgress,
            "the first request with this Idempotency-Key is being answered; ask again in a moment",
        )),
    }
}

fn digest(method: &Method, target: &str, kind: Option<&HeaderValue>, body: &[u8]) -> [u8; 32] {
    let mut sum = Sha256::new();
    for part in [
        method.as_str().as_bytes(),
        target.as_bytes(),
        kind.map_or(b"", HeaderValue::as_bytes),
        body,
    ] {
        // With its length, so that nothing can move from one part to the next.
        sum.update((part.len() as u64).to_be_bytes());
        sum.update(part);
    }
    sum.finalize().into()
}

fn replay(status: i32, kind: Option<&str>, body: Vec<u8>) -> Result<Response, Problem> {
    let status = u16::try_from(status).map_err(Problem::internal)?;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).map_err(Problem::internal)?;
    let headers = response.headers_mut();
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    if let Some(kind) = kind {
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_str(kind).map_err(Problem::internal)?,
        );
    }
    Ok(response)
}

/// Keeps an answer, if it is final.
async fn keep(app: &App, claim: Claim, request_id: &str, response: Response) -> Response {
    let postgres = &app.services.postgres;
    let (mut parts, body) = response.into_parts();
    // A problem is written down as the document that its caller is going to see.
    let (body, kind): (Bytes, Option<HeaderValue>) = match parts.extensions.get::<Problem>() {
        Some(problem) => (problem.document(request_id).into(), Some(crate::problem::MEDIA_TYPE)),
        None => match body.collect().await {
            Ok(whole) => (whole.to_bytes(), parts.headers.get(header::CONTENT_TYPE).cloned()),
            Err(error) => return Problem::internal(error).into_response(),
        },
    };
    let again = parts.status.is_server_error()
        || matches!(
            parts.status,
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::REQUEST_TIMEOUT
                | StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN
        );
    let noted = if again || body.len() > MAX_ANSWER_BYTES {
        claim.forget(postgres).await
    } else {
        let kind = kind.as_ref().and_then(|kind| kind.to_str().ok());
        claim.keep(postgres, parts.status.as_u16(), kind, &body).await
    };
    if let Err(error) = noted {
        tracing::warn!(error = %error, "the answer to a request with an idempotency key could not be kept");
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(body))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn key(method: Method, values: &[&str]) -> Result<Option<String>, Kind> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, value.parse().unwrap());
        }
        let key = key_of(&method, &headers);
        key.map(|key| key.map(|key| key.0.to_string()))
            .map_err(|problem| problem.kind())
    }

    #[test]
    fn a_key_is_read_with_and_without_quotes() {
        assert_eq!(key(Method::POST, &["k-1"]), Ok(Some("k-1".to_owned())));
        assert_eq!(key(Method::PUT, &["\"k-1\""]), Ok(Some("k-1".to_owned())));
        assert_eq!(key(Method::POST, &[]), Ok(None));
        assert_eq!(key(Method::GET, &["k-1"]), Ok(None), "it changes nothing");
        for wrong in [&["" as &str][..], &["\"\""], &["a b"], &[&"x".repeat(129)], &["a", "a"]] {
            assert_eq!(key(Method::POST, wrong), Err(Kind::InvalidParameter), "{wrong:?}");
        }
    }

    #[test]
    fn a_digest_tells_requests_apart() {
        let json = HeaderValue::from_static("application/json");
        let one = digest(&Method::POST, "/a?b", Some(&json), b"{}");
        assert_eq!(one, digest(&Method::POST, "/a?b", Some(&json), b"{}"));
        for other in [
            digest(&Method::PUT, "/a?b", Some(&json), b"{}"),
            digest(&Method::POST, "/a?", Some(&json), b"b{}"),
            digest(&Method::POST, "/a?b", None, b"{}"),
            digest(&Method::POST, "/a?b", Some(&json), b"{ }"),
        ] {
            assert_ne!(one, other);
        }
    }
}
