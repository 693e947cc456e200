//! The address of the store, as the settings give it and as requests need it.

use url::Url;

use super::Error;

/// The endpoint as `rust-s3` takes it: no trailing slash, and `https` where that is asked for.
pub(super) fn address(url: &Url, use_ssl: bool) -> Result<String, Error> {
    let refuse = |reason: &str| Error::Configuration {
        variable: "STUDIO_BRAIN_ARTIFACT_STORE_ENDPOINT",
        reason: reason.to_owned(),
    };
    let mut url = url.clone();
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse(
            "credentials in the address would end up in messages; use STUDIO_BRAIN_ARTIFACT_STORE_ACCESS_KEY and \
             STUDIO_BRAIN_ARTIFACT_STORE_SECRET_KEY",
        ));
    }
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(refuse("it must be an http:// or https:// address"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refuse("it must not have a query or fragment"));
    }
    if use_ssl && url.set_scheme("https").is_err() {
        return Err(refuse(
            "it cannot be made an https:// address as STUDIO_BRAIN_ARTIFACT_STORE_USE_SSL asks",
        ));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use super::*;

    #[test]
    fn the_endpoint_follows_the_ssl_setting() {
        let given = |url: &str, use_ssl| address(&url.parse().unwrap(), use_ssl).unwrap();
        assert_eq!(given("http://127.0.0.1:9010", false), "http://127.0.0.1:9010");
        assert_eq!(given("http://127.0.0.1:9010/", true), "https://127.0.0.1:9010");
        assert_eq!(given("http://store.example", true), "https://store.example");
        assert_eq!(given("https://store.example", false), "https://store.example");
        assert_eq!(
            given("https://store.example:8443/storage/v1/s3/", false),
            "https://store.example:8443/storage/v1/s3"
        );
    }

    #[test]
    fn an_endpoint_that_cannot_work_is_refused() {
        for url in [
            "ftp://h",
            "http://user:secret@h",
            "http://h?a=b",
            "http://h#f",
            "unix:/run/s3",
        ] {
            let error = address(&url.parse().unwrap(), false).unwrap_err().to_string();
            assert!(error.starts_with("STUDIO_BRAIN_ARTIFACT_STORE_ENDPOINT "), "{error}");
            assert!(!error.contains("user:secret"), "{error}");
        }
    }
}
