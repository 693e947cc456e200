//! Fetching what an issuer publishes: bounded in size and time, never redirected.

use std::time::Duration;

use brain_config::Url;
use jsonwebtoken::jwk::JwkSet;
use serde::{Deserialize, de::DeserializeOwned};

/// Time for one document.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The largest document, in bytes.
const MAX_BYTES: usize = 512 * 1024;

/// Why the keys of an issuer could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// No answer, or one that is no success.
    #[error("{url} does not answer: {reason}")]
    Unanswered { url: String, reason: String },
    /// The answer is not the document that it should be.
    #[error("{url} answers with something else: {reason}")]
    Foreign { url: String, reason: String },
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

/// The keys that an issuer publishes now.
pub(super) async fn keys(issuer: &str) -> Result<JwkSet, Error> {
    let discovery = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let found: Discovery = document(&discovery).await?;
    let foreign = |reason: &str| Error::Foreign {
        url: discovery.clone(),
        reason: reason.to_owned(),
    };
    if found.issuer != issuer {
        return Err(foreign("it is the document of another issuer"));
    }
    let safe = Url::parse(&found.jwks_uri).is_ok_and(|url| url.scheme() == "https" || is_here(&url));
    if !safe {
        return Err(foreign("jwks_uri is not an https:// URL"));
    }
    document(&found.jwks_uri).await
}

async fn document<T: DeserializeOwned>(url: &str) -> Result<T, Error> {
    let unanswered = |reason: String| Error::Unanswered {
        url: url.to_owned(),
        reason,
    };
    let foreign = |reason: String| Error::Foreign {
        url: url.to_owned(),
        reason,
    };
    let mut builder = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("studio-brain/", env!("CARGO_PKG_VERSION")));
    if Url::parse(url).is_ok_and(|url| is_here(&url)) {
        // A proxy elsewhere cannot reach this machine's loopback.
        builder = builder.no_proxy();
    }
    let client = builder.build().map_err(|error| unanswered(error.to_string()))?;
    let answer = client.get(url).send().await;
    let mut answer = answer.map_err(|error| unanswered(error.without_url().to_string()))?;
    if !answer.status().is_success() {
        return Err(unanswered(format!("status {}", answer.status().as_u16())));
    }
    let mut bytes = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(None) => break,
            Ok(Some(chunk)) if bytes.len() + chunk.len() <= MAX_BYTES => bytes.extend_from_slice(&chunk),
            Ok(Some(_)) => return Err(foreign(format!("more than {MAX_BYTES} bytes"))),
            Err(error) => return Err(unanswered(error.without_url().to_string())),
        }
    }
    serde_json::from_slice(&bytes).map_err(|error| foreign(error.to_string()))
}

fn is_here(url: &Url) -> bool {
    use std::net::IpAddr;
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
