//! How a checked value enters the typed tree and how it is read back as text.
//!
//! One accessor serves both directions, so what is shown is always what is in force.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::Config;
use crate::valid::Value;

/// Reaches one field of the tree.
pub(crate) type Lens<T> = fn(&mut Config) -> &mut T;

/// The field behind a variable, by its type.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Access {
    Flag(Lens<bool>),
    U16(Lens<u16>),
    U32(Lens<u32>),
    U64(Lens<u64>),
    Usize(Lens<usize>),
    Millis(Lens<Duration>),
    Text(Lens<String>),
    OptionalText(Lens<Option<String>>),
    Secret(Lens<SecretString>),
    OptionalSecret(Lens<Option<SecretString>>),
    Url(Lens<Url>),
    OptionalUrl(Lens<Option<Url>>),
    Path(Lens<PathBuf>),
    OptionalPath(Lens<Option<PathBuf>>),
    List(Lens<Vec<String>>),
    /// A type with its own parser; `set` says whether the text was valid.
    Parsed {
        set: fn(&mut Config, &str) -> bool,
        get: fn(&Config) -> String,
    },
}

impl Access {
    /// Whether the field can be without a value.
    pub(crate) const fn is_optional(&self) -> bool {
        matches!(
            self,
            Self::OptionalText(_) | Self::OptionalSecret(_) | Self::OptionalUrl(_) | Self::OptionalPath(_)
        )
    }

    /// Puts the value into its field; false when it does not fit there.
    pub(crate) fn store(&self, config: &mut Config, value: Value) -> bool {
        match (*self, value) {
            (Self::Flag(field), Value::Flag(flag)) => put(field(config), Some(flag)),
            (Self::U16(field), Value::Number(number)) => put(field(config), u16::try_from(number).ok()),
            (Self::U32(field), Value::Number(number)) => put(field(config), u32::try_from(number).ok()),
            (Self::U64(field), Value::Number(number)) => put(field(config), Some(number)),
            (Self::Usize(field), Value::Number(number)) => put(field(config), usize::try_from(number).ok()),
            (Self::Millis(field), Value::Number(number)) => put(field(config), Some(Duration::from_millis(number))),
            (Self::Text(field), Value::Text(text)) => put(field(config), Some(text)),
            (Self::OptionalText(field), Value::Text(text)) => put(field(config), Some(Some(text))),
            (Self::OptionalText(field), Value::Absent) => put(field(config), Some(None)),
            (Self::Secret(field), Value::Text(text)) => put(field(config), Some(text.into())),
            (Self::OptionalSecret(field), Value::Text(text)) => put(field(config), Some(Some(text.into()))),
            (Self::OptionalSecret(field), Value::Absent) => put(field(config), Some(None)),
            (Self::Url(field), Value::Url(url)) => put(field(config), Some(url)),
            (Self::OptionalUrl(field), Value::Url(url)) => put(field(config), Some(Some(url))),
            (Self::OptionalUrl(field), Value::Absent) => put(field(config), Some(None)),
            (Self::Path(field), Value::Text(text)) => put(field(config), Some(text.into())),
            (Self::OptionalPath(field), Value::Text(text)) => put(field(config), Some(Some(text.into()))),
            (Self::OptionalPath(field), Value::Absent) => put(field(config), Some(None)),
            (Self::List(field), Value::List(list)) => put(field(config), Some(list)),
            (Self::Parsed { set, .. }, Value::Text(text)) => set(config, &text),
            _ => false,
        }
    }

    /// The value in force, written as it would be in `.env`. A secret is only ever `[set]` or `[missing]`.
    pub(crate) fn show(&self, config: &mut Config) -> String {
        match *self {
            Self::Flag(field) => field(config).to_string(),
            Self::U16(field) => field(config).to_string(),
            Self::U32(field) => field(config).to_string(),
            Self::U64(field) => field(config).to_string(),
            Self::Usize(field) => field(config).to_string(),
            Self::Millis(field) => field(config).as_millis().to_string(),
            Self::Text(field) => field(config).clone(),
            Self::OptionalText(field) => field(config).clone().unwrap_or_default(),
            Self::Secret(field) => presence(Some(field(config))),
            Self::OptionalSecret(field) => presence(field(config).as_ref()),
            Self::Url(field) => url_text(field(config)),
            Self::OptionalUrl(field) => field(config).as_ref().map(url_text).unwrap_or_default(),
            Self::Path(field) => field(config).display().to_string(),
            Self::OptionalPath(field) => field(config)
                .as_ref()
                .map(|path| path.display().to_string())
                .unwrap_or_default(),
            Self::List(field) => field(config).join(","),
            Self::Parsed { get, .. } => get(config),
        }
    }
}

fn put<T>(field: &mut T, value: Option<T>) -> bool {
    match value {
        Some(value) => {
            *field = value;
            true
        }
        None => false,
    }
}

fn presence(secret: Option<&SecretString>) -> String {
    let set = secret.is_some_and(|secret| !secret.expose_secret().is_empty());
    if set { "[set]" } else { "[missing]" }.to_owned()
}

/// A URL as a person writes it: without the lone slash that the parser adds, and without credentials
/// that code, unlike a variable, could have put there.
fn url_text(url: &Url) -> String {
    if !url.username().is_empty() || url.password().is_some() {
        return "[redacted]".to_owned();
    }
    let text = url.as_str();
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    text.strip_suffix('/').filter(|_| bare).unwrap_or(text).to_owned()
}
