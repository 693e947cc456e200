//! Dead letters: stream entries that could not become events, kept with the reason until somebody decides.

use brain_connectivity::postgres::{self, Postgres};
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{
    event::{self, Defaults, Event},
    ids::{EntryId, EventId, StreamName, SwarmId, TenantId},
    publish::{self, Published, Publisher},
};

/// Why an entry is a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "DeadLetterReason")]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It is not an event in JSON.
    Malformed,
    /// It has too many bytes.
    TooLarge,
    /// Its envelope or payload breaks the schema.
    SchemaViolation,
    /// An event with its id is stored already.
    Duplicate,
    /// The database refused it, every time.
    ApplyFailed,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Malformed,
        Self::TooLarge,
        Self::SchemaViolation,
        Self::Duplicate,
        Self::ApplyFailed,
    ];

    /// The word in the database and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::SchemaViolation => "schema_violation",
            Self::Duplicate => "duplicate",
            Self::ApplyFailed => "apply_failed",
        }
    }
}

impl std::str::FromStr for Reason {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.as_str() == word)
            .ok_or_else(|| {
                format!(
                    "{word:?} is not a reason; valid: {}",
                    Self::ALL.map(Self::as_str).join(", ")
                )
            })
    }
}

/// What was decided about a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "DeadLetterStatus")]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nothing yet.
    Parked,
    /// It was published after all.
    Replayed,
    /// It is to be left alone.
    Dropped,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Parked, Self::Replayed, Self::Dropped];

    /// The word in the database and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parked => "parked",
            Self::Replayed => "replayed",
            Self::Dropped => "dropped",
        }
    }
}

impl std::str::FromStr for Status {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == word)
            .ok_or_else(|| {
                format!(
                    "{word:?} is not a dead letter status; valid: {}",
                    Self::ALL.map(Self::as_str).join(", ")
                )
            })
    }
}

/// A dead letter in the making.
#[derive(Debug)]
pub(crate) struct NewDeadLetter {
    pub(crate) tenant_id: TenantId,
    pub(crate) stream: StreamName,
    pub(crate) entry: EntryId,
    pub(crate) reason: Reason,
    pub(crate) detail: String,
    pub(crate) raw: Bytes,
    pub(crate) deliveries: i32,
    pub(crate) swarm_id: Option<SwarmId>,
    pub(crate) event_id: Option<EventId>,
    pub(crate) event_type: Option<String>,
}

/// A dead letter, as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// Its id.
    pub dead_letter_id: Uuid,
    /// The stream it came on.
    pub stream_name: String,
    /// The entry it was.
    pub entry_id: String,
    /// Why it is here.
    pub reason: Reason,
    /// The same in words.
    pub detail: String,
    /// Its bytes, as far as they are text.
    pub raw: String,
    /// How many bytes it has.
    pub raw_bytes: usize,
    /// How often it was delivered or tried.
    pub delivery_count: i32,
    /// The swarm it names, where it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swarm_id: Option<String>,
    /// The event id it names, where it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// The event type it names, where it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// What was decided.
    pub status: Status,
    /// When it became a dead letter.
    pub created_at: Timestamp,
    /// When it was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<Timestamp>,
}

/// Which dead letters to read.
#[derive(Debug, Clone)]
pub struct Query {
    /// Of this tenant.
    pub tenant_id: TenantId,
    /// With this status.
    pub status: Option<Status>,
    /// For this reason.
    pub reason: Option<Reason>,
    /// Older than this one.
    pub before: Option<Uuid>,
    /// At most this many.
    pub limit: usize,
}

/// Some dead letters, newest first.
#[derive(Debug, Clone)]
pub struct Page {
    /// The dead letters.
    pub dead_letters: Vec<DeadLetter>,
    /// Read on before this one; `None` at the end.
    pub next: Option<Uuid>,
}

/// Why a dead letter was left as it is.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none with this id.
    #[error("there is no dead letter {0}")]
    NotFound(Uuid),
    /// It was decided before.
    #[error("dead letter {id} is {} already", .status.as_str())]
    NotParked {
        /// Which.
        id: Uuid,
        /// What was decided.
        status: Status,
    },
    /// It still is not an event; give a mended one.
    #[error("it still cannot be stored: {0}; replay it with a mended event")]
    Invalid(#[from] event::Invalid),
    /// It could not be published.
    #[error(transparent)]
    Publish(#[from] publish::Error),
    /// The database said no, or nothing.
    #[error(transparent)]
    Database(#[from] postgres::Error),
}

/// Reads a page of dead letters.
///
/// # Errors
/// Those of the database.
pub async fn list(postgres: &Postgres, query: &Query) -> Result<Page, postgres::Error> {
    let client = postgres.client().await?;
    let statement = client
        .prepare_cached(include_str!("sql/select_dead_letter_page.sql"))
        .await?;
    let status = query.status.map(Status::as_str);
    let reason = query.reason.map(Reason::as_str);
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX).saturating_add(1);
    let before = query.before.unwrap_or(Uuid::max());
    let rows = client
        .query(
            &statement,
            &[&query.tenant_id.as_str(), &status, &reason, &before, &limit],
        )
        .await?;
    let more = rows.len() > query.limit;
    let dead_letters: Vec<DeadLetter> = rows.iter().take(query.limit).map(dead_letter).collect();
    Ok(Page {
        next: dead_letters.last().filter(|_| more).map(|letter| letter.dead_letter_id),
        dead_letters,
    })
}

/// Reads one dead letter.
///
/// # Errors
/// Those of the database.
pub async fn get(postgres: &Postgres, tenant: &TenantId, id: Uuid) -> Result<Option<DeadLetter>, postgres::Error> {
    Ok(row_of(postgres, tenant, id).await?.as_ref().map(dead_letter))
}

/// Reads one dead letter together with its bytes as they came.
///
/// # Errors
/// Those of the database.
pub async fn get_raw(
    postgres: &Postgres,
    tenant: &TenantId,
    id: Uuid,
) -> Result<Option<(DeadLetter, Vec<u8>)>, postgres::Error> {
    let row = row_of(postgres, tenant, id).await?;
    Ok(row.map(|row| (dead_letter(&row), row.get("raw"))))
}

async fn row_of(postgres: &Postgres, tenant: &TenantId, id: Uuid) -> Result<Option<Row>, postgres::Error> {
    let client = postgres.client().await?;
    let statement = client
        .prepare_cached(include_str!("sql/select_dead_letter.sql"))
        .await?;
    Ok(client.query_opt(&statement, &[&tenant.as_str(), &id]).await?)
}

/// Publishes a dead letter after all: as it is, or as `corrected`. Safe to repeat: the event is recognised by its id.
///
/// # Errors
/// [`Error`]; the dead letter then stays parked.
pub async fn replay(
    postgres: &Postgres,
    publisher: &Publisher,
    tenant: &TenantId,
    id: Uuid,
    corrected: Option<Vec<u8>>,
    max_bytes: usize,
) -> Result<Published, Error> {
    let row = row_of(postgres, tenant, id).await?.ok_or(Error::NotFound(id))?;
    let letter = dead_letter(&row);
    if letter.status != Status::Parked {
        return Err(Error::NotParked {
            id,
            status: letter.status,
        });
    }
    let raw: &[u8] = row.get("raw");
    // Into the tenant whose letter it is, whatever is in it.
    let defaults = Defaults {
        tenant_id: tenant.clone(),
        ..Defaults::default()
    };
    let event = Event::parse(corrected.as_deref().unwrap_or(raw), max_bytes, &defaults)?;
    let mut published = publisher.publish(vec![event]).await?;
    resolve(postgres, tenant, id, Status::Replayed).await?;
    tracing::info!(dead_letter.id = %id, tenant.id = %tenant, "dead letter replayed");
    published.pop().ok_or(Error::Publish(publish::Error::Closed))
}

/// Decides that a dead letter is to be left alone. It stays readable.
///
/// # Errors
/// [`Error::NotFound`], [`Error::NotParked`] or those of the database.
pub async fn discard(postgres: &Postgres, tenant: &TenantId, id: Uuid) -> Result<(), Error> {
    if resolve(postgres, tenant, id, Status::Dropped).await? {
        tracing::info!(dead_letter.id = %id, tenant.id = %tenant, "dead letter dropped");
        return Ok(());
    }
    match get(postgres, tenant, id).await? {
        Some(letter) => Err(Error::NotParked {
            id,
            status: letter.status,
        }),
        None => Err(Error::NotFound(id)),
    }
}

async fn resolve(postgres: &Postgres, tenant: &TenantId, id: Uuid, status: Status) -> Result<bool, postgres::Error> {
    let client = postgres.client().await?;
    let statement = client
        .prepare_cached(include_str!("sql/resolve_dead_letter.sql"))
        .await?;
    Ok(client
        .execute(&statement, &[&tenant.as_str(), &id, &status.as_str()])
        .await?
        == 1)
}

fn dead_letter(row: &Row) -> DeadLetter {
    let raw: &[u8] = row.get("raw");
    DeadLetter {
        dead_letter_id: row.get(0),
        stream_name: row.get(1),
        entry_id: row.get(2),
        reason: row.get::<_, &str>(3).parse().unwrap_or(Reason::ApplyFailed),
        detail: row.get(4),
        raw: String::from_utf8_lossy(raw).into_owned(),
        raw_bytes: raw.len(),
        delivery_count: row.get(6),
        swarm_id: row.get(7),
        event_id: row.get(8),
        event_type: row.get(9),
        status: row.get::<_, &str>(10).parse().unwrap_or(Status::Dropped),
        created_at: row.get(11),
        resolved_at: row.get(12),
    }
}
