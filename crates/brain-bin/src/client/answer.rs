//! Answers of the API: documents, pages of lists, and problems as errors with a remedy.

use std::error::Error as _;
use std::time::Duration;

use brain_config::Url;
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;

/// Problems of single events that are shown; the rest is counted.
const SHOWN_ITEMS: usize = 10;

/// Why there is no answer to use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Nothing listens there, or it does not answer.
    #[error("no brain answers at {base} ({reason}); start one with `brain serve`, or name another with --server")]
    Unanswered {
        /// The server that was asked.
        base: Url,
        /// What happened.
        reason: String,
    },
    /// Something else answers there.
    #[error("what answers at {base} is not a brain; name the right server with --server")]
    NotABrain {
        /// The server that was asked.
        base: Url,
    },
    /// The server wants a token.
    #[error(
        "the server refuses: {detail}; give the token with --token, BRAIN_TOKEN, --profile or STUDIO_BRAIN_ADMIN_TOKEN"
    )]
    Unauthorized {
        /// What it says.
        detail: String,
    },
    /// The server says no.
    #[error("the server refuses ({status}): {detail}")]
    Refused {
        /// The status code.
        status: StatusCode,
        /// What it says, with the problems of single events on lines of their own.
        detail: String,
    },
    /// The server asks to come back later.
    #[error("the server is busy or not ready ({status}): {detail}")]
    Busy {
        /// The status code.
        status: StatusCode,
        /// What it says.
        detail: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
}

impl Error {
    /// Whether the same request may succeed later.
    pub(crate) fn retryable(&self) -> bool {
        matches!(self, Self::Unanswered { .. } | Self::Busy { .. })
    }

    /// From an error of sending a request or reading its answer.
    pub(super) fn unanswered(base: &Url, error: &reqwest::Error) -> Self {
        // The innermost cause says what happened; those around it only repeat the URL.
        let mut cause = error.source();
        let mut reason = error.without_url_text();
        while let Some(inner) = cause {
            reason = inner.to_string();
            cause = inner.source();
        }
        if error.is_timeout() {
            reason = "it took too long".to_owned();
        }
        Self::Unanswered {
            base: base.clone(),
            reason,
        }
    }
}

trait WithoutUrl {
    fn without_url_text(&self) -> String;
}

impl WithoutUrl for reqwest::Error {
    fn without_url_text(&self) -> String {
        if self.is_connect() {
            "cannot connect".to_owned()
        } else {
            self.to_string()
        }
    }
}

/// One page of a list.
pub(crate) struct Page {
    /// Its items.
    pub(crate) items: Vec<Value>,
    /// The cursor of the next page, where there is one.
    pub(crate) next: Option<String>,
    /// The whole document, for what a list has beside its items.
    pub(crate) document: Value,
}

impl Page {
    pub(super) fn of(mut document: Value, items: &str) -> Result<Self, Error> {
        let list = document.get_mut(items).map(Value::take);
        let Some(Value::Array(list)) = list else {
            let detail = format!("its answer has no list of {items}; is it of another version than this command?");
            return Err(Error::Refused {
                status: StatusCode::OK,
                detail,
            });
        };
        let next = document.get("nextCursor").and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            items: list,
            next,
            document,
        })
    }
}

/// The JSON document of a successful answer.
pub(super) async fn document(response: Response) -> Result<Value, Error> {
    let base = response.url().clone();
    let response = success(response).await?;
    if response.status() == StatusCode::NO_CONTENT {
        return Ok(Value::Null);
    }
    let read = response.json().await;
    read.map_err(|error| {
        if error.is_decode() {
            not_a_brain(&base)
        } else {
            Error::unanswered(&origin(&base), &error)
        }
    })
}

/// The answer itself when it is a success, else the problem that it describes.
pub(super) async fn success(response: Response) -> Result<Response, Error> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let retry_after = response
        .headers()
        .get("retry-after")
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .map(Duration::from_secs);
    let url = response.url().clone();
    let Ok(problem) = response.json::<Problem>().await else {
        return Err(not_a_brain(&url));
    };
    let detail = problem.text();
    Err(match status {
        StatusCode::UNAUTHORIZED => Error::Unauthorized { detail },
        // Governance said no; that its quota is used up does not make the server busy.
        _ if problem.reason_code.is_some() => Error::Refused { status, detail },
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Error::Busy {
            status,
            detail,
            retry_after,
        },
        _ => Error::Refused { status, detail },
    })
}

fn not_a_brain(url: &Url) -> Error {
    Error::NotABrain { base: origin(url) }
}

fn origin(url: &Url) -> Url {
    let mut base = url.clone();
    base.set_path("");
    base.set_query(None);
    base
}

/// A problem document, as far as a person needs it.
#[derive(Deserialize)]
struct Problem {
    title: String,
    #[serde(default)]
    detail: Option<String>,
    #[serde(default)]
    errors: Vec<ItemProblem>,
    /// Why governance refuses, in one of its stable codes.
    #[serde(default, rename = "reasonCode")]
    reason_code: Option<String>,
    #[serde(default, rename = "retryAfterSeconds")]
    retry_after_seconds: Option<u32>,
}

/// What is wrong with one event of a batch.
#[derive(Deserialize)]
struct ItemProblem {
    #[serde(default)]
    index: Option<u64>,
    #[serde(default)]
    detail: Option<String>,
}

impl Problem {
    fn text(&self) -> String {
        let mut text = self.detail.clone().unwrap_or_else(|| self.title.clone());
        if let Some(code) = &self.reason_code {
            text.insert_str(0, &format!("{code}: "));
            if let Some(seconds) = self.retry_after_seconds {
                text.push_str(&format!("; it may be different in {seconds} s"));
            }
        }
        for item in self.errors.iter().take(SHOWN_ITEMS) {
            let place = item.index.map(|index| format!("event {index}: ")).unwrap_or_default();
            text.push_str(&format!("\n  {place}{}", item.detail.as_deref().unwrap_or("refused")));
        }
        if self.errors.len() > SHOWN_ITEMS {
            text.push_str(&format!("\n  and {} more", self.errors.len() - SHOWN_ITEMS));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_problem_names_every_event_it_is_about() {
        let json = r#"{"type":"urn:x","title":"Invalid","status":422,"detail":"2 of 3 events are invalid",
            "errors":[{"index":0,"detail":"missing field `type`"},{"index":2,"detail":"too old"}]}"#;
        let problem: Problem = serde_json::from_str(json).unwrap();
        assert_eq!(problem.reason_code, None);
        let expected = "2 of 3 events are invalid\n  event 0: missing field `type`\n  event 2: too old";
        assert_eq!(problem.text(), expected);
    }

    #[test]
    fn a_refusal_of_governance_begins_with_its_code() {
        let json = r#"{"title":"Rate limited","detail":"the quota is used up: 3 in an hour","reasonCode":"RATE_LIMITED",
            "retryAfterSeconds":7}"#;
        let problem: Problem = serde_json::from_str(json).unwrap();
        let expected = "RATE_LIMITED: the quota is used up: 3 in an hour; it may be different in 7 s";
        assert_eq!(problem.text(), expected);
    }
}
