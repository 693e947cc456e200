//! What the store knows about an artifact without its bytes.

use jiff::Timestamp;
use s3::command::Command;

use super::{
    ArtifactKey, Digest, Error,
    error::Context,
    transport::{Answer, Call, Repeat, Response, Transport},
    upload::DIGEST_HEADER,
};

/// An artifact's properties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Its key.
    pub key: ArtifactKey,
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 of its bytes, where it was stored with them: always for an artifact smaller than
    /// [`PART_BYTES`](super::PART_BYTES), for a larger one when its digest was known beforehand.
    pub sha256: Option<Digest>,
    /// The store's version mark; changes when the bytes change.
    pub etag: Option<String>,
    /// MIME type as given when it was stored.
    pub content_type: Option<String>,
    /// When it was stored, to the second.
    pub last_modified: Option<Timestamp>,
}

impl Meta {
    /// Reads the headers of an answer to GET or HEAD.
    pub(super) fn read(response: &Response, key: &ArtifactKey, context: Box<Context>) -> Result<Self, Error> {
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        // Not `Response::content_length`, which is that of the body: 0 for HEAD.
        let size = header("content-length")
            .and_then(|size| size.parse().ok())
            .ok_or_else(|| Error::Protocol {
                context,
                reason: "its answer does not say how long the artifact is".to_owned(),
            })?;
        Ok(Self {
            key: key.clone(),
            size,
            sha256: header(DIGEST_HEADER).and_then(|digest| digest.parse().ok()),
            etag: header("etag").map(str::to_owned),
            content_type: header("content-type").map(str::to_owned),
            last_modified: header("last-modified").and_then(read_http_date),
        })
    }
}

pub(super) async fn head(transport: &Transport, key: &ArtifactKey) -> Result<Option<Meta>, Error> {
    let action = "look up artifact";
    let command = Command::HeadObject;
    let call = Call {
        action,
        key: Some(key),
        command,
        repeat: Repeat::Always,
        limit: transport.patience,
    };
    match transport.ask(call).await? {
        Answer::Success(response) => Meta::read(&response, key, transport.context(action, Some(key))).map(Some),
        Answer::Refused(refusal) if refusal.status == 404 => {
            transport.only_the_key_is_missing(action, key).await.map(|()| None)
        }
        Answer::Refused(refusal) => Err(refusal.into_error(transport.context(action, Some(key)))),
    }
}

fn read_http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text).ok().map(|time| time.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_dates() {
        let time = read_http_date("Sun, 06 Nov 1994 08:49:37 GMT").map(|time| time.to_string());
        assert_eq!(time.as_deref(), Some("1994-11-06T08:49:37Z"));
        assert_eq!(read_http_date("yesterday"), None);
    }
}
