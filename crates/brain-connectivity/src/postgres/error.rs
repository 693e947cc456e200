//! What goes wrong with PostgreSQL, sorted by what the caller can do about it.
//!
//! SQLSTATE is interpreted here and nowhere else.

use std::error::Error as StdError;

use tokio_postgres::error::{DbError, SqlState};

/// What a caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The server is away, starting, stopping or out of resources: try again later.
    Unavailable,
    /// A limit on waiting was reached: try again later.
    Timeout,
    /// Another transaction was in the way: try the whole transaction again.
    Retryable,
    /// The data breaks a type, a constraint or a size limit: trying again changes nothing.
    InvalidData,
    /// A setting is wrong; the message names it.
    Configuration,
    /// Anything else: a defect in a statement, a missing privilege or object.
    Other,
}

/// An error of a PostgreSQL connection or statement.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection, or the connection was lost.
    #[error("postgres is unavailable: {reason}")]
    Unavailable {
        /// What happened, with the address where it is known.
        reason: String,
        /// The server's code, where it was the server that refused.
        sqlstate: Option<SqlState>,
    },
    /// A wait reached the limit that `setting` sets.
    #[error("postgres took too long: {reason} ({setting})")]
    Timeout {
        /// What was waited for.
        reason: String,
        /// The variable that holds the limit.
        setting: &'static str,
    },
    /// The server refused a statement.
    #[error("postgres refused a statement: {} ({})", describe(.0), .0.code().code())]
    Database(Box<DbError>),
    /// A setting is wrong.
    #[error("{setting} is wrong: {reason}")]
    Configuration {
        /// The variables to look at.
        setting: &'static str,
        /// What is wrong with them, and the remedy.
        reason: String,
    },
    /// An answer does not fit the statement that asked for it, or the protocol.
    #[error("postgres answered unexpectedly: {reason}")]
    Unexpected {
        /// What does not fit.
        reason: String,
    },
}

impl Error {
    /// What a caller can do about it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Unavailable { .. } => Kind::Unavailable,
            Self::Timeout { .. } => Kind::Timeout,
            Self::Database(error) => classify_sqlstate(error.code()),
            Self::Configuration { .. } => Kind::Configuration,
            Self::Unexpected { .. } => Kind::Other,
        }
    }

    /// Whether the same work may succeed when it is done again, from the start of its transaction.
    #[must_use]
    pub fn retryable(&self) -> bool {
        matches!(self.kind(), Kind::Unavailable | Kind::Timeout | Kind::Retryable)
    }

    /// The server's code, where the server answered.
    #[must_use]
    pub fn sqlstate(&self) -> Option<&SqlState> {
        match self {
            Self::Unavailable { sqlstate, .. } => sqlstate.as_ref(),
            Self::Timeout { .. } => Some(&SqlState::QUERY_CANCELED),
            Self::Database(error) => Some(error.code()),
            Self::Configuration { .. } | Self::Unexpected { .. } => None,
        }
    }

    /// The name of the constraint that refused the data, where it was one.
    #[must_use]
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Database(error) => error.constraint(),
            _ => None,
        }
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(database) = error.as_db_error() {
            return from_database(database);
        }
        let reason = chain(&error);
        match classify(&error) {
            Kind::Unavailable => Self::Unavailable { reason, sqlstate: None },
            Kind::Configuration => Self::Configuration {
                setting: "PGHOST, PGUSER, PGPASSWORD or PGSSLMODE",
                reason,
            },
            _ => Self::Unexpected { reason },
        }
    }
}

fn from_database(error: &DbError) -> Error {
    match classify_sqlstate(error.code()) {
        Kind::Unavailable => Error::Unavailable {
            reason: describe(error),
            sqlstate: Some(error.code().clone()),
        },
        Kind::Timeout => Error::Timeout {
            reason: describe(error),
            setting: "STUDIO_BRAIN_PG_QUERY_TIMEOUT_MS",
        },
        Kind::Configuration => Error::Configuration {
            setting: if error.code() == &SqlState::INVALID_CATALOG_NAME {
                "PGDATABASE"
            } else {
                "PGUSER or PGPASSWORD"
            },
            reason: describe(error),
        },
        Kind::Retryable | Kind::InvalidData | Kind::Other => Error::Database(Box::new(error.clone())),
    }
}

/// What a caller can do about an error of the driver.
#[must_use]
pub fn classify(error: &tokio_postgres::Error) -> Kind {
    if let Some(sqlstate) = error.code() {
        return classify_sqlstate(sqlstate);
    }
    // The driver keeps its own kinds private; what it prints and wraps tells them apart.
    let text = error.to_string();
    if text.starts_with("authentication error") || text.starts_with("invalid con") {
        return Kind::Configuration;
    }
    let transport = error.is_closed()
        || error.source().is_some_and(|source| source.is::<std::io::Error>())
        || [
            "error connecting",
            "error communicating",
            "error performing TLS",
            "timeout waiting",
        ]
        .iter()
        .any(|prefix| text.starts_with(prefix));
    if transport { Kind::Unavailable } else { Kind::Other }
}

/// What a caller can do about an answer with this code.
#[must_use]
pub fn classify_sqlstate(sqlstate: &SqlState) -> Kind {
    match sqlstate.code() {
        "57014" => Kind::Timeout,
        "40001" | "40P01" | "55P03" => Kind::Retryable,
        // An idle transaction or session that the server closed, and a server that became a standby.
        "25P03" | "25P04" | "25006" => Kind::Unavailable,
        "3D000" => Kind::Configuration,
        code => match code.get(..2) {
            Some("08" | "53") => Kind::Unavailable,
            Some("57") if code.starts_with("57P") => Kind::Unavailable,
            Some("22" | "23" | "54") => Kind::InvalidData,
            Some("28") => Kind::Configuration,
            _ => Kind::Other,
        },
    }
}

/// The server's message with its detail.
fn describe(error: &DbError) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.message()),
        None => error.message().to_owned(),
    }
}

/// An error with all its causes in one line.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sqlstate_class_has_its_consequence() {
        let cases = [
            ("08006", Kind::Unavailable),
            ("57P01", Kind::Unavailable),
            ("57P03", Kind::Unavailable),
            ("53300", Kind::Unavailable),
            ("25P03", Kind::Unavailable),
            ("57014", Kind::Timeout),
            ("40001", Kind::Retryable),
            ("40P01", Kind::Retryable),
            ("55P03", Kind::Retryable),
            ("22P02", Kind::InvalidData),
            ("23505", Kind::InvalidData),
            ("54000", Kind::InvalidData),
            ("28P01", Kind::Configuration),
            ("3D000", Kind::Configuration),
            ("42601", Kind::Other),
            ("57000", Kind::Other),
            ("40002", Kind::Other),
        ];
        for (code, kind) in cases {
            assert_eq!(classify_sqlstate(&SqlState::from_code(code)), kind, "{code}");
        }
    }
}
