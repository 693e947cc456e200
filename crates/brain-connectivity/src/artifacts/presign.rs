//! Links that let somebody without credentials read or write one artifact for a while.

use std::time::Duration;

use s3::error::S3Error;

use super::{
    ArtifactKey, Error,
    transport::{Transport, broken},
    upload::check_content_type,
};

/// Longest life of a link; the limit of the signature scheme.
pub const MAX_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

fn seconds(life: Duration) -> Result<u32, Error> {
    match u32::try_from(life.as_secs()) {
        Ok(seconds) if seconds >= 1 && life <= MAX_LIFE => Ok(seconds),
        _ => Err(Error::InvalidRequest {
            reason: format!("a link lives 1 second to 7 days, not {} ms", life.as_millis()),
        }),
    }
}

pub(super) async fn get(transport: &Transport, key: &ArtifactKey, life: Duration) -> Result<String, Error> {
    let link = transport.bucket.presign_get(key.as_str(), seconds(life)?, None).await;
    link.map_err(|error| failed(transport, key, error))
}

pub(super) async fn put(
    transport: &Transport,
    key: &ArtifactKey,
    content_type: Option<&str>,
    life: Duration,
) -> Result<String, Error> {
    let headers = match content_type {
        Some(content_type) => {
            check_content_type(content_type)?;
            let mut bucket = transport.bucket.clone();
            bucket.add_header("content-type", content_type);
            Some(bucket.extra_headers().clone())
        }
        None => None,
    };
    let life = seconds(life)?;
    let link = transport.bucket.presign_put(key.as_str(), life, headers, None).await;
    link.map_err(|error| failed(transport, key, error))
}

fn failed(transport: &Transport, key: &ArtifactKey, error: S3Error) -> Error {
    broken(error, transport.context("make a link to artifact", Some(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_lives_a_second_to_a_week() {
        assert!(matches!(seconds(MAX_LIFE), Ok(604_800)));
        assert!(matches!(seconds(Duration::from_secs(1)), Ok(1)));
        for life in [
            Duration::ZERO,
            Duration::from_millis(999),
            MAX_LIFE + Duration::from_nanos(1),
            Duration::MAX,
        ] {
            assert!(matches!(seconds(life), Err(Error::InvalidRequest { .. })), "{life:?}");
        }
    }
}
