//! The files of a registry over HTTP.
//!
//! Invariants: no redirect is followed; plain HTTP goes only to this machine unless a setting allows it; each request
//! has a deadline, however slowly its bytes come; tries and the pauses between them are bounded; a proxy is used only
//! if one is given here, never from the environment.

use std::{net::IpAddr, time::Duration};

use reqwest::{StatusCode, redirect};
use url::Url;

use super::{Error, Settings, Sink, Span};

/// The first pause before another try; it doubles.
const PAUSE: Duration = Duration::from_millis(200);

/// Proxies, as `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` would say it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxy {
    /// For registries at `http://`.
    pub http: Option<Url>,
    /// For registries at `https://`.
    pub https: Option<Url>,
    /// Hosts that are reached directly: names with their subdomains, addresses, networks, separated by commas.
    pub except: String,
}

#[derive(Debug)]
pub(in crate::registry) struct Client {
    base: Url,
    client: reqwest::Client,
    request: Duration,
    archive: Duration,
    tries: u32,
}

/// Whether an error is worth another try.
enum Failed {
    Now(String),
    Always(Error),
}

impl Client {
    pub(super) fn new(base: &Url, settings: &Settings) -> Result<Self, Error> {
        let here = is_here(base);
        match base.scheme() {
            "https" => {}
            "http" if here || settings.plain_http => {}
            _ => {
                let reason = format_args!("{base} is not https://; use https, or allow plain HTTP for this registry");
                return Err(Error::setting(reason));
            }
        }
        if base.query().is_some()
            || base.fragment().is_some()
            || !base.username().is_empty()
            || base.password().is_some()
        {
            return Err(Error::setting(
                "the address of a registry has no user, query or fragment; leave them out",
            ));
        }
        let mut base = base.clone();
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let mut builder = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(settings.connect)
            .user_agent(concat!("studio-brain/", env!("CARGO_PKG_VERSION")))
            // Also turns off what the environment says.
            .no_proxy();
        // A proxy elsewhere cannot reach this machine's loopback.
        if let Some(proxy) = settings.proxy.as_ref().filter(|_| !here) {
            let except = || reqwest::NoProxy::from_string(&proxy.except);
            let unusable = |error: reqwest::Error| Error::setting(format_args!("the proxy cannot be used: {error}"));
            if let Some(url) = &proxy.http {
                builder = builder.proxy(reqwest::Proxy::http(url.clone()).map_err(unusable)?.no_proxy(except()));
            }
            if let Some(url) = &proxy.https {
                builder = builder.proxy(reqwest::Proxy::https(url.clone()).map_err(unusable)?.no_proxy(except()));
            }
        }
        for authority in &settings.authorities {
            let read = reqwest::Certificate::from_pem_bundle(authority.as_bytes());
            let read = read.map_err(|error| Error::setting(format_args!("a certificate authority: {error}")))?;
            builder = read
                .into_iter()
                .fold(builder, reqwest::ClientBuilder::add_root_certificate);
        }
        let client = builder.build();
        let client = client.map_err(|error| Error::setting(format_args!("no HTTP client can be made: {error}")))?;
        Ok(Self {
            base,
            client,
            request: settings.request,
            archive: settings.archive,
            tries: settings.tries.max(1),
        })
    }

    pub(super) async fn copy(&self, name: &str, limit: u64, span: Span, into: &mut impl Sink) -> Result<(), Error> {
        let span = match span {
            Span::Document => self.request,
            Span::Archive => self.archive,
        };
        let mut pause = PAUSE;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let once = tokio::time::timeout(span, self.once(name, limit, into)).await;
            let reason = match once {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(Failed::Always(error))) => return Err(error),
                Ok(Err(Failed::Now(reason))) => reason,
                Err(_) => format!("it took longer than {} ms", span.as_millis()),
            };
            if attempt >= self.tries {
                return Err(Error::Unavailable {
                    what: name.to_owned(),
                    reason,
                });
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    async fn once(&self, name: &str, limit: u64, into: &mut impl Sink) -> Result<(), Failed> {
        let what = || name.to_owned();
        let too_large = || Failed::Always(Error::TooLarge { what: what(), limit });
        let url = self.base.join(name);
        let url = url.map_err(|error| Failed::Always(Error::malformed(name, error)))?;
        let unavailable = |error: reqwest::Error| Failed::Now(with_causes(&error.without_url()));
        let mut answer = self.client.get(url).send().await.map_err(unavailable)?;
        match answer.status() {
            StatusCode::OK => {}
            // Some stores of files answer 403 for what they do not have.
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN | StatusCode::GONE => {
                return Err(Failed::Always(Error::Missing { what: what() }));
            }
            status if status.is_redirection() => return Err(Failed::Always(Error::Redirected { what: what() })),
            status => return Err(Failed::Now(format!("the server answers {}", status.as_u16()))),
        }
        if answer.content_length().is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let local = |error: std::io::Error| Failed::Now(error.to_string());
        into.begin().map_err(local)?;
        let mut had = 0;
        while let Some(chunk) = answer.chunk().await.map_err(unavailable)? {
            had += chunk.len() as u64;
            if had > limit {
                return Err(too_large());
            }
            into.take(&chunk).map_err(local)?;
        }
        Ok(())
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(url::Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(url::Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn opens(url: &str, settings: &Settings) -> bool {
        Client::new(&url.parse().unwrap(), settings).is_ok()
    }

    #[test]
    fn plain_http_stays_on_this_machine_unless_allowed() {
        let settings = Settings::default();
        for good in [
            "https://skills.example/a",
            "http://127.0.0.1:8080/",
            "http://[::1]/",
            "http://localhost/x/",
        ] {
            assert!(opens(good, &settings), "{good}");
        }
        for bad in [
            "http://skills.example/",
            "http://127.0.0.1.example/",
            "http://localhost.example/",
            "http://10.0.0.1/",
            "ftp://skills.example/",
            "https://user@skills.example/",
            "https://skills.example/?q",
        ] {
            assert!(!opens(bad, &settings), "{bad}");
        }
        let plain = Settings {
            plain_http: true,
            ..Settings::default()
        };
        assert!(opens("http://skills.example/", &plain) && !opens("ftp://skills.example/", &plain));
    }
}
