//! Registering and reading schemas.
//!
//! Invariant: registrations of all tenants happen one after the other, so that versions have no gaps and whoever has seen a
//! number has seen all before it.

use brain_connectivity::postgres::{self, Postgres};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio_postgres::{GenericClient, Row};

use super::{
    comparison::{Break, Compatibility, compare},
    document::{Document, InvalidSchema},
};
use crate::{
    audit::{self, Actor, Entry},
    digest::Digest,
    event::EventType,
    ids::{ActorId, TenantId},
};

/// What the record of a registration says was done.
pub const REGISTERED: &str = "schema.register";
/// The most types of a tenant that have schemas.
pub const MAX_TYPES: i64 = 1000;
/// The most versions of a type.
pub const MAX_VERSIONS: i16 = 100;

/// A type that may have registered schemas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The owner.
    pub tenant_id: TenantId,
    /// The name of a custom type.
    event_type: Box<str>,
}

impl Subject {
    /// The types that the brain knows itself have schemas that nobody changes.
    ///
    /// # Errors
    /// [`Error::BuiltIn`] for those.
    pub fn new(tenant_id: TenantId, kind: &EventType) -> Result<Self, Error> {
        match kind {
            EventType::Custom(name) => Ok(Self {
                tenant_id,
                event_type: name.clone(),
            }),
            known => Err(Error::BuiltIn(known.as_str().to_owned())),
        }
    }
}

/// A registered schema.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "RegisteredSchema")]
pub struct Registered {
    /// The event type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Its version.
    pub version: i16,
    /// The schema itself.
    pub schema: Value,
    /// What was proven against the version before.
    pub compatibility: Compatibility,
    /// Who registered it.
    pub created_by: ActorId,
    /// When.
    pub created_at: Timestamp,
}

/// Why a schema was not registered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The type is one that the brain knows itself.
    #[error("{0} is a type of the brain itself, whose schema nobody else sets")]
    BuiltIn(String),
    /// It is no schema that can be registered.
    #[error(transparent)]
    Invalid(#[from] InvalidSchema),
    /// The version is there with another schema.
    #[error("version {0} of {1} is registered with another schema; versions are never changed")]
    Taken(i16, String),
    /// The version would leave a gap.
    #[error("the next version of {event_type} is {next}, not {version}")]
    NotNext {
        /// What was asked for.
        version: i16,
        /// What would do.
        next: i16,
        /// Of which type.
        event_type: String,
    },
    /// It does not go with the version before.
    #[error("it is not {compatibility} compatible with version {version}")]
    Incompatible {
        /// What was to be proven.
        compatibility: Compatibility,
        /// The version before.
        version: i16,
        /// Why it could not be.
        breaks: Vec<Break>,
    },
    /// There are too many already.
    #[error("{0}")]
    TooMany(String),
    /// It could not be recorded, so it was not done.
    #[error(transparent)]
    Audit(#[from] audit::Error),
    /// The database said no, or nothing.
    #[error(transparent)]
    Database(#[from] postgres::Error),
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}

/// What is to be registered.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// Of which type.
    pub subject: Subject,
    /// The schema.
    pub document: Document,
    /// What must be proven against the version before.
    pub compatibility: Compatibility,
    /// The version that it is to have; the next one where that is left open.
    pub version: Option<i16>,
}

/// What registering would do.
#[derive(Debug, Clone)]
pub enum Fate {
    /// It is there already.
    Known(Registered),
    /// It would be this version, where it goes with the one before.
    New {
        /// The version that it would have.
        version: i16,
        /// The version that it was compared with.
        against: Option<i16>,
        /// Why it does not go with that.
        breaks: Vec<Break>,
    },
}

/// Says what registering would do; changes nothing.
///
/// # Errors
/// [`Error`] says why it could not be registered, but for incompatibilities, which are the answer.
pub async fn check(postgres: &Postgres, proposal: &Proposal) -> Result<Fate, Error> {
    let client = postgres.client().await?;
    fate(&**client, proposal).await
}

/// Registers a schema, with its record in the audit trail; `false` where it was there already. Tell the
/// [`Registry`](super::Registry) afterwards.
///
/// `by`: the actor who registers it, and the principal that speaks for it.
///
/// # Errors
/// [`Error`] says why nothing was registered.
pub async fn register(
    postgres: &Postgres,
    proposal: &Proposal,
    (by, principal): (&ActorId, &str),
) -> Result<(Registered, bool), Error> {
    let mut client = postgres.client().await?;
    let transaction = client.transaction().await?;
    // Readers go on; only who registers waits.
    transaction
        .batch_execute("LOCK TABLE event_schemas IN SHARE ROW EXCLUSIVE MODE")
        .await?;
    let (version, against, breaks) = match fate(&*transaction, proposal).await? {
        Fate::Known(registered) => return Ok((registered, false)),
        Fate::New {
            version,
            against,
            breaks,
        } => (version, against, breaks),
    };
    if let Some(against) = against.filter(|_| !breaks.is_empty()) {
        return Err(Error::Incompatible {
            compatibility: proposal.compatibility,
            version: against,
            breaks,
        });
    }
    let Subject { tenant_id, event_type } = &proposal.subject;
    if version == 1 {
        let count = "SELECT count(DISTINCT event_type) FROM event_schemas WHERE tenant_id = $1";
        let types: i64 = transaction.query_one(count, &[&tenant_id.as_str()]).await?.get(0);
        if types >= MAX_TYPES {
            return Err(Error::TooMany(format!(
                "{MAX_TYPES} types have schemas already, which is the most"
            )));
        }
    }
    let row = transaction
        .query_one(
            include_str!("../sql/insert_schema.sql"),
            &[
                &tenant_id.as_str(),
                &&**event_type,
                &version,
                proposal.document.value(),
                &proposal.compatibility.as_str(),
                &by.as_str(),
            ],
        )
        .await?;
    let registered = Registered {
        event_type: event_type.to_string(),
        version,
        schema: proposal.document.value().clone(),
        compatibility: proposal.compatibility,
        created_by: by.clone(),
        created_at: row.get(0),
    };
    let entry = Entry {
        // A schema with numbers that RFC 8785 has no form for is one all the same.
        input_hash: Digest::of_json(&registered.schema).ok(),
        ..Entry::new(
            Actor::principal(principal),
            REGISTERED,
            format!("{event_type}/{version}"),
        )
    };
    audit::append(&transaction, tenant_id, entry).await?;
    transaction.commit().await?;
    Ok((registered, true))
}

async fn fate(client: &impl GenericClient, proposal: &Proposal) -> Result<Fate, Error> {
    let event_type = &proposal.subject.event_type;
    let known = versions_in(client, &proposal.subject).await?;
    let value = proposal.document.value();
    if let Some(version) = proposal.version
        && let Some(there) = known.iter().find(|one| one.version == version)
    {
        return if there.schema == *value {
            Ok(Fate::Known(there.clone()))
        } else {
            Err(Error::Taken(version, event_type.to_string()))
        };
    }
    let newest = known.first();
    let next = newest.map_or(1, |newest| newest.version + 1);
    match proposal.version {
        Some(version) if version != next => {
            return Err(Error::NotNext {
                version,
                next,
                event_type: event_type.to_string(),
            });
        }
        None => {
            if let Some(there) = known.iter().find(|one| one.schema == *value) {
                return Ok(Fate::Known(there.clone()));
            }
        }
        Some(_) => {}
    }
    if next > MAX_VERSIONS {
        let problem = format!("{event_type} has {MAX_VERSIONS} versions already, which is the most");
        return Err(Error::TooMany(problem));
    }
    let breaks = match newest {
        Some(newest) => {
            let old = Document::new(newest.schema.clone())?;
            compare(&old, &proposal.document, proposal.compatibility)
        }
        None => Vec::new(),
    };
    Ok(Fate::New {
        version: next,
        against: newest.map(|newest| newest.version),
        breaks,
    })
}

/// All versions of a type, the newest first.
///
/// # Errors
/// Those of the database.
pub async fn versions(postgres: &Postgres, subject: &Subject) -> Result<Vec<Registered>, postgres::Error> {
    let client = postgres.client().await?;
    Ok(versions_in(&**client, subject).await?)
}

async fn versions_in(client: &impl GenericClient, subject: &Subject) -> Result<Vec<Registered>, tokio_postgres::Error> {
    let rows = client
        .query(
            include_str!("../sql/select_schema_versions.sql"),
            &[&subject.tenant_id.as_str(), &&*subject.event_type],
        )
        .await?;
    let named = |row: &Row| registered(row, subject.event_type.to_string(), 0);
    Ok(rows.iter().map(named).collect())
}

/// Which registered schemas to read.
#[derive(Debug, Clone)]
pub struct Query {
    /// Of this tenant.
    pub tenant_id: TenantId,
    /// Only of this type.
    pub event_type: Option<String>,
    /// After this type and version.
    pub after: Option<(String, i16)>,
    /// At most this many.
    pub limit: usize,
}

/// Registered schemas in the order of type and version.
///
/// # Errors
/// Those of the database.
pub async fn list(postgres: &Postgres, query: &Query) -> Result<Vec<Registered>, postgres::Error> {
    let client = postgres.client().await?;
    let statement = client
        .prepare_cached(include_str!("../sql/select_schema_page.sql"))
        .await?;
    let (after, version) = query
        .after
        .as_ref()
        .map_or(("", 0), |(name, version)| (name.as_str(), *version));
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
    let rows = client
        .query(
            &statement,
            &[&query.tenant_id.as_str(), &after, &version, &query.event_type, &limit],
        )
        .await?;
    Ok(rows.iter().map(|row| registered(row, row.get(0), 1)).collect())
}

/// A row; its columns begin with the version at `first`.
fn registered(row: &Row, event_type: String, first: usize) -> Registered {
    Registered {
        event_type,
        version: row.get(first),
        schema: row.get(first + 1),
        // The table takes no other word.
        compatibility: row.get::<_, &str>(first + 2).parse().unwrap_or_default(),
        created_by: ActorId::trusted(row.get(first + 3)),
        created_at: row.get(first + 4),
    }
}
