//! The HTTP API as the command line uses it, and errors that say what to do.

mod answer;

use std::io::Write;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::Context as _;
use brain_config::{Config, ExposeSecret as _, SecretString, Url};
use brain_connectivity::health::Report;
use brain_swarm::governance::capability::MAX_TIME_LIMIT;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;

pub(crate) use self::answer::{Error, Page};
use crate::cli::ServerArgs;
use crate::exit::Usage;
use crate::profiles::Profile;

/// Time to reach the server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for a whole request. More than a server gives itself, so that its own answer comes first.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(40);
/// Time for an execution or a call of a skill: the longest time limit, and what a server takes before and after it.
const EXECUTION_TIMEOUT: Duration = MAX_TIME_LIMIT.saturating_add(Duration::from_secs(120));
/// Time for the health report: its checks have a time-out of their own.
const REPORT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for what is as long as what is stored.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(24 * 3600);
/// The largest page that the API gives.
const PAGE_MAX: u32 = 500;

/// A brain that answers over HTTP.
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<SecretString>,
}

impl Client {
    /// A client of the server that the options name, else of the configured one.
    pub(crate) fn new(config: &Config, args: &ServerArgs) -> Result<Self, Usage> {
        let profile = args
            .profile
            .as_deref()
            .map(Profile::named)
            .transpose()?
            .unwrap_or_default();
        let base = match args.server.as_ref().or(profile.server.as_ref()) {
            Some(text) => given_url(text)?,
            None => configured_url(config)?,
        };
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            // A brain never redirects, and a token goes to the server that it was kept for and to no other.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("brain/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&base) {
            // A proxy elsewhere cannot reach this machine's loopback.
            builder = builder.no_proxy();
        }
        let http = builder
            .build()
            .map_err(|error| Usage(format!("cannot set up the HTTP client: {error}")))?;
        let elsewhere = args.server.is_some() && args.server != profile.server;
        let named = args.server.is_some() || profile.server.is_some();
        let configured = config.server.admin_token.clone();
        let token = args
            .token
            .clone()
            .map(SecretString::from)
            .or(profile.token.filter(|_| !elsewhere))
            .or(configured.filter(|_| !named || is_loopback(&base)));
        Ok(Self { http, base, token })
    }

    /// Reads one document.
    pub(crate) async fn get(&self, path: &[&str], query: &[(&str, String)]) -> Result<Value, Error> {
        let request = self.request(Method::GET, path).query(query);
        answer::document(self.send(request).await?).await
    }

    /// Reads up to `limit` items of a list, page by page, and says whether there are more.
    pub(crate) async fn list(
        &self,
        path: &[&str],
        items: &str,
        query: &[(&str, String)],
        limit: u32,
    ) -> Result<(Vec<Value>, bool), Error> {
        let mut all = Vec::new();
        let mut cursor = None;
        loop {
            let left = limit - u32::try_from(all.len()).unwrap_or(limit).min(limit);
            let mut query = query.to_vec();
            query.push(("limit", left.min(PAGE_MAX).to_string()));
            query.extend(cursor.map(|cursor| ("cursor", cursor)));
            let page = self.page(path, items, &query).await?;
            all.extend(page.items);
            cursor = page.next;
            if cursor.is_none() || all.len() >= limit as usize {
                return Ok((all, cursor.is_some()));
            }
        }
    }

    /// Reads one page of a list.
    pub(crate) async fn page(&self, path: &[&str], items: &str, query: &[(&str, String)]) -> Result<Page, Error> {
        Page::of(self.get(path, query).await?, items)
    }

    /// Writes what the path names to `out` as it comes, however long that takes.
    pub(crate) async fn download(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        let request = self.request(Method::GET, path).query(query).timeout(DOWNLOAD_TIMEOUT);
        let mut response = answer::success(self.send(request).await?).await?;
        while let Some(bytes) = response.chunk().await.context("the answer was cut off")? {
            out.write_all(&bytes).context("cannot write the answer")?;
        }
        Ok(())
    }

    /// Sends a change with a JSON body, or without one.
    pub(crate) async fn post(&self, path: &[&str], body: Option<Vec<u8>>) -> Result<Value, Error> {
        self.change(Method::POST, path, &[], body).await
    }

    /// Sends a change that is answered when something was done elsewhere, which may take its time.
    pub(crate) async fn post_and_wait(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        body: Vec<u8>,
    ) -> Result<Value, Error> {
        let request = self.request(Method::POST, path).query(query).timeout(EXECUTION_TIMEOUT);
        let request = request.header("content-type", "application/json").body(body);
        answer::document(self.send(request).await?).await
    }

    /// Sends a change of what the path names, with a JSON body, or without one.
    pub(crate) async fn change(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<Vec<u8>>,
    ) -> Result<Value, Error> {
        let mut request = self.request(method, path).query(query);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        answer::document(self.send(request).await?).await
    }

    /// Deletes what the path names.
    pub(crate) async fn delete(&self, path: &[&str]) -> Result<(), Error> {
        let request = self.request(Method::DELETE, path);
        answer::success(self.send(request).await?).await.map(drop)
    }

    /// Reads a health report, which is one with any status code.
    pub(crate) async fn report(&self, path: &[&str]) -> Result<Report, Error> {
        let response = self
            .send(self.request(Method::GET, path).timeout(REPORT_TIMEOUT))
            .await?;
        // Not one that the caller may not see.
        let response = match response.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => answer::success(response).await?,
            _ => response,
        };
        response.json().await.map_err(|_| Error::NotABrain {
            base: self.base.clone(),
        })
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        // Segments are encoded one by one: an id may hold a slash. The base is checked to have segments.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let request = self.http.request(method, self.url(path));
        match &self.token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Error> {
        request
            .send()
            .await
            .map_err(|error| Error::unanswered(&self.base, &error))
    }
}

pub(crate) fn given_url(text: &str) -> Result<Url, Usage> {
    let refuse = || {
        Usage(format!(
            "--server {text}: write an http:// or https:// URL, such as http://127.0.0.1:8787"
        ))
    };
    let url = Url::parse(text).map_err(|_| refuse())?;
    let plain = matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none();
    if plain { Ok(url) } else { Err(refuse()) }
}

fn configured_url(config: &Config) -> Result<Url, Usage> {
    let host = match config.server.host.parse::<IpAddr>() {
        // A server that listens everywhere is reached through the loopback.
        Ok(IpAddr::V4(ip)) if ip.is_unspecified() => "127.0.0.1".to_owned(),
        Ok(IpAddr::V6(ip)) if ip.is_unspecified() => "[::1]".to_owned(),
        Ok(IpAddr::V6(ip)) => format!("[{ip}]"),
        _ => config.server.host.clone(),
    };
    let port = config.server.port;
    Url::parse(&format!("http://{host}:{port}")).map_err(|_| {
        Usage(format!(
            "STUDIO_BRAIN_HOST={host} and STUDIO_BRAIN_PORT={port} make no URL; use --server"
        ))
    })
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn client(server: Option<&str>) -> Client {
        let mut config = Config::defaults();
        config.server.host = "::".to_owned();
        let args = ServerArgs {
            server: server.map(str::to_owned),
            ..ServerArgs::default()
        };
        Client::new(&config, &args).unwrap()
    }

    #[test]
    fn the_server_comes_from_the_option_or_the_configuration() {
        assert_eq!(client(None).base.as_str(), "http://[::1]:8787/");
        assert_eq!(
            client(Some("https://brain.example/base/")).base.as_str(),
            "https://brain.example/base/"
        );
        assert!(given_url("127.0.0.1:8787").is_err());
        assert!(given_url("ftp://x").is_err());
    }

    #[test]
    fn ids_in_a_path_stay_one_segment() {
        let client = client(Some("http://127.0.0.1:1/base"));
        let request = client
            .request(Method::GET, &["api", "tasks", "a/../b c?"])
            .build()
            .unwrap();
        assert_eq!(
            request.url().as_str(),
            "http://127.0.0.1:1/base/api/tasks/a%2F..%2Fb%20c%3F"
        );
    }

    #[test]
    fn every_request_carries_the_token() {
        let mut config = Config::defaults();
        config.server.admin_token = Some("t".into());
        let client = Client::new(&config, &ServerArgs::default()).unwrap();
        for method in [Method::GET, Method::POST] {
            let request = client.request(method, &["x"]).build().unwrap();
            assert_eq!(request.headers()["authorization"], "Bearer t");
        }
    }

    #[test]
    fn a_token_goes_to_the_server_that_it_was_kept_for() {
        let mut config = Config::defaults();
        config.server.admin_token = Some("t".into());
        let sent = |server: Option<&str>, token: Option<&str>| {
            let args = ServerArgs {
                server: server.map(str::to_owned),
                token: token.map(str::to_owned),
                ..ServerArgs::default()
            };
            let request = Client::new(&config, &args).unwrap().request(Method::GET, &["x"]);
            request.build().unwrap().headers().contains_key("authorization")
        };
        assert!(sent(None, None) && sent(Some("http://127.0.0.1:1"), None));
        assert!(
            !sent(Some("https://brain.example"), None),
            "the token of this machine's brain"
        );
        assert!(sent(Some("https://brain.example"), Some("u")));
    }
}
