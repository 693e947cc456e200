//! What goes wrong with Redis, sorted by what the caller can do about it.

use fred::error::{Error as DriverError, ErrorKind};

/// Answers that mean "not now": the server is loading, failing over, or busy with a script.
const NOT_NOW: [&str; 7] = [
    "LOADING",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "READONLY",
    "TRYAGAIN",
    "BUSY",
    "NOREPLICAS",
];

/// An error of a Redis connection or command.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// No connection, the connection was lost before the answer, or the server cannot serve now.
    #[error("redis is unavailable: {reason}")]
    Unavailable {
        /// What happened, with the address where it is known.
        reason: String,
    },
    /// A command got no answer in time. Whether it took effect is not known.
    #[error("redis did not answer in time: {reason} (REDIS_COMMAND_TIMEOUT_MS)")]
    Timeout {
        /// What was waited for.
        reason: String,
    },
    /// A setting is wrong.
    #[error("{setting} is wrong: {reason}")]
    Configuration {
        /// The variables to look at.
        setting: &'static str,
        /// What is wrong with them, and the remedy.
        reason: String,
    },
    /// The server refused the command.
    #[error("redis refused a command: {message}")]
    Refused {
        /// The first word of the answer, such as `NOGROUP` or `WRONGTYPE`.
        code: String,
        /// The whole answer.
        message: String,
    },
    /// An answer does not fit the command that asked for it.
    #[error("redis answered unexpectedly: {reason}")]
    Unexpected {
        /// What does not fit.
        reason: String,
    },
}

impl Error {
    /// Whether the same command may succeed when it is sent again.
    #[must_use]
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Timeout { .. })
    }

    /// The code with which the server refused the command, such as `NOGROUP`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }
}

impl From<DriverError> for Error {
    fn from(error: DriverError) -> Self {
        let message = readable(error.details());
        match error.kind() {
            ErrorKind::Timeout => Self::Timeout { reason: message },
            // Only the client that stands in for a lost connection has no room for commands.
            ErrorKind::Backpressure => Self::Unavailable {
                reason: "not connected".to_owned(),
            },
            ErrorKind::IO | ErrorKind::Canceled | ErrorKind::Routing | ErrorKind::Cluster | ErrorKind::Tls => {
                Self::Unavailable { reason: message }
            }
            ErrorKind::Auth => Self::Configuration {
                setting: "REDIS_USERNAME or REDIS_PASSWORD",
                reason: message,
            },
            ErrorKind::Config | ErrorKind::Url => Self::Configuration {
                setting: "REDIS_HOST or REDIS_PORT",
                reason: message,
            },
            ErrorKind::Protocol | ErrorKind::Parse | ErrorKind::NotFound => Self::Unexpected { reason: message },
            _ => answered(message),
        }
    }
}

/// The driver gives operating system errors as a programmer would print them; what they say is inside.
fn readable(details: &str) -> String {
    let inside = |start: &str, end: &str| {
        let (_, rest) = details.split_once(start)?;
        Some(rest.strip_suffix(end)?.to_owned())
    };
    let said = if details.starts_with("Os {") {
        inside("message: \"", "\" }")
    } else if details.starts_with("Custom {") {
        inside("error: ", " }").map(|text| text.trim_matches('"').to_owned())
    } else {
        None
    };
    said.unwrap_or_else(|| details.to_owned())
}

/// The driver has no kind of its own for most answers of the server; their first word tells.
fn answered(message: String) -> Error {
    let code = message.split(' ').next().unwrap_or_default();
    if NOT_NOW.contains(&code) {
        return Error::Unavailable { reason: message };
    }
    if !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Error::Refused {
            code: code.to_owned(),
            message,
        };
    }
    // What the driver itself could not do: no route yet, too many attempts, a task that ended.
    Error::Unavailable { reason: message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: ErrorKind, message: &'static str) -> Error {
        DriverError::new(kind, message).into()
    }

    #[test]
    fn answers_are_told_apart_by_their_first_word() {
        let refused = error(ErrorKind::Unknown, "NOGROUP No such key 's' or consumer group");
        assert_eq!((refused.code(), refused.retryable()), (Some("NOGROUP"), false));
        let loading = error(ErrorKind::Unknown, "LOADING Redis is loading the dataset in memory");
        assert_eq!((loading.code(), loading.retryable()), (None, true));
        let route = error(ErrorKind::Unknown, "Failed to route command.");
        assert!(route.retryable());
    }

    #[test]
    fn operating_system_errors_are_readable() {
        let os = DriverError::from(std::io::Error::from_raw_os_error(111));
        assert_eq!(Error::from(os).to_string(), "redis is unavailable: Connection refused");
        let custom = DriverError::from(std::io::Error::other("no way"));
        assert_eq!(Error::from(custom).to_string(), "redis is unavailable: no way");
    }

    #[test]
    fn transport_errors_can_be_tried_again_and_settings_cannot() {
        for kind in [
            ErrorKind::IO,
            ErrorKind::Canceled,
            ErrorKind::Timeout,
            ErrorKind::Backpressure,
        ] {
            assert!(error(kind, "x").retryable());
        }
        let auth = error(ErrorKind::Auth, "WRONGPASS invalid username-password pair");
        assert!(!auth.retryable());
        assert!(
            auth.to_string()
                .starts_with("REDIS_USERNAME or REDIS_PASSWORD is wrong")
        );
    }
}
