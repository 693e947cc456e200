//! Listing artifacts page by page, in the byte order of their keys.

use jiff::Timestamp;
use s3::command::Command;
use serde::Deserialize;

use super::{
    ArtifactKey, Error,
    transport::{Call, Repeat, Transport},
};

/// Artifacts of one page at most; the limit of S3 itself.
pub const MAX_PAGE: usize = 1000;

/// Longest answer that is read: a full page of the longest keys, escaped.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

const ACTION: &str = "list";

/// Where a listing goes on. It stays valid for ever and holds nothing secret; treat it as opaque.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(String);

impl Cursor {
    // The last key, not the store's continuation token: that expires, and not every store accepts it back.
    fn after(key: &str) -> Self {
        Self(key.bytes().map(|byte| format!("{byte:02x}")).collect())
    }

    fn key(&self) -> Result<String, Error> {
        let invalid = || Error::InvalidRequest {
            reason: format!("{:?} is not a cursor of this listing", self.0),
        };
        if self.0.is_empty() || !self.0.len().is_multiple_of(2) || !self.0.is_ascii() {
            return Err(invalid());
        }
        let bytes = (0..self.0.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&self.0[at..at + 2], 16));
        let bytes: Vec<u8> = bytes.collect::<Result<_, _>>().map_err(|_| invalid())?;
        String::from_utf8(bytes).map_err(|_| invalid())
    }

    /// The cursor as text, to hand out.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A cursor that was handed out as text; one that is not is refused when it is used.
    #[must_use]
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// One artifact of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: ArtifactKey,
    /// Its size in bytes.
    pub size: u64,
    /// The store's version mark, where it gives one.
    pub etag: Option<String>,
    /// When it was stored.
    pub last_modified: Option<Timestamp>,
}

/// A page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The artifacts, in the byte order of their keys.
    pub entries: Vec<Entry>,
    /// Names of objects that others put into the bucket and that no [`ArtifactKey`] can hold.
    pub foreign: Vec<String>,
    /// Where the next page begins; none after the last one.
    pub next: Option<Cursor>,
}

#[derive(Deserialize)]
#[serde(rename = "ListBucketResult")]
struct Document {
    #[serde(rename = "IsTruncated", default)]
    is_truncated: bool,
    #[serde(rename = "Contents", default)]
    contents: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    #[serde(rename = "Key")]
    key: String,
    #[serde(rename = "Size")]
    size: u64,
    #[serde(rename = "ETag")]
    etag: Option<String>,
    #[serde(rename = "LastModified")]
    last_modified: Option<String>,
}

pub(super) async fn list(
    transport: &Transport,
    prefix: &str,
    cursor: Option<&Cursor>,
    limit: usize,
) -> Result<Page, Error> {
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(Error::InvalidRequest {
            reason: format!("a page has 1 to {MAX_PAGE} artifacts, not {limit}"),
        });
    }
    if prefix.starts_with('/') || prefix.chars().any(char::is_control) {
        return Err(Error::InvalidRequest {
            reason: format!("prefix {prefix:?} is not valid: no key starts with it"),
        });
    }
    let start_after = cursor.map(Cursor::key).transpose()?;
    let call = Call {
        action: ACTION,
        key: None,
        command: Command::ListObjectsV2 {
            prefix: prefix.to_owned(),
            delimiter: None,
            continuation_token: None,
            start_after,
            max_keys: Some(limit),
        },
        repeat: Repeat::Always,
        limit: transport.patience,
    };
    let response = transport.demand(call).await?;
    let body = transport.collect(response, MAX_ANSWER, ACTION, None).await?;
    read(&String::from_utf8_lossy(&body)).map_err(|reason| Error::Protocol {
        context: transport.context(ACTION, None),
        reason: format!("its answer cannot be read: {reason}"),
    })
}

fn read(document: &str) -> Result<Page, String> {
    // The parser takes any root element, and every part of a listing may be absent.
    if !document.contains("<ListBucketResult") {
        return Err("it is not a listing".to_owned());
    }
    let document: Document = quick_xml::de::from_str(document).map_err(|error| error.to_string())?;
    let next = document
        .contents
        .last()
        .filter(|_| document.is_truncated)
        .map(|last| Cursor::after(&last.key));
    let mut page = Page {
        entries: Vec::with_capacity(document.contents.len()),
        foreign: Vec::new(),
        next,
    };
    for object in document.contents {
        let Ok(key) = ArtifactKey::new(object.key.clone()) else {
            page.foreign.push(object.key);
            continue;
        };
        page.entries.push(Entry {
            key,
            size: object.size,
            etag: object.etag,
            last_modified: object.last_modified.and_then(|time| time.parse().ok()),
        });
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_page_is_read() {
        let page = read(
            r#"<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
            <Name>b</Name><Prefix></Prefix><KeyCount>2</KeyCount><MaxKeys>2</MaxKeys><IsTruncated>true</IsTruncated>
            <Contents><Key>a&amp;b/1 &lt;x&gt;</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified>
              <ETag>&quot;e&quot;</ETag><Size>7</Size><StorageClass>STANDARD</StorageClass></Contents>
            <Contents><Key>folder/</Key><Size>0</Size></Contents></ListBucketResult>"#,
        )
        .unwrap();
        assert_eq!(page.entries.len(), 1);
        assert_eq!(page.entries[0].key.as_str(), "a&b/1 <x>");
        assert_eq!(page.entries[0].etag.as_deref(), Some("\"e\""));
        assert_eq!(
            page.entries[0].last_modified.unwrap().to_string(),
            "2026-01-02T03:04:05Z"
        );
        assert_eq!(page.foreign, ["folder/"]);
        assert_eq!(page.next.unwrap().key().unwrap(), "folder/");
    }

    #[test]
    fn an_empty_bucket_has_an_empty_page() {
        let page = read("<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>").unwrap();
        assert_eq!((page.entries.len(), page.next), (0, None));
    }

    proptest! {
        #[test]
        fn a_cursor_survives_being_text(key in "\\PC{1,40}") {
            let cursor = Cursor::after(&key);
            prop_assert!(cursor.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric()));
            prop_assert_eq!(Cursor::from_text(cursor.as_str()).key().unwrap(), key);
        }

        #[test]
        fn a_foreign_cursor_is_refused_or_read(text in any::<String>()) {
            // It must not panic; what it reads as is up to whoever made it up.
            let _ = Cursor::from_text(text).key();
        }
    }
}
