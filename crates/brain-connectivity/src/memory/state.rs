//! What the database has of pgvector: the type of the embeddings, the extension, and why it is not used.

use tokio_postgres::{GenericClient, Row};

/// What the database has of pgvector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// Whether the table exists.
    pub(super) migrated: bool,
    /// Whether the embeddings are pgvector's.
    pub(super) adopted: bool,
    /// Why the last attempt to adopt it failed.
    pub(super) remembered: Option<String>,
    /// Whether there is a type of the name on the search path.
    pub(super) visible: bool,
    /// Version of the extension in this database, where it is created.
    pub(super) created: Option<String>,
    /// Version of the extension that the server could create.
    pub(super) available: Option<String>,
    /// Major version of the server.
    pub(super) server_major: i32,
}

impl State {
    pub(super) async fn read(client: &impl GenericClient) -> Result<Self, tokio_postgres::Error> {
        Self::from_row(&client.query_one(include_str!("sql/select_state.sql"), &[]).await?)
    }

    fn from_row(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            migrated: row.try_get("migrated")?,
            adopted: row.try_get("adopted")?,
            remembered: row.try_get("remembered")?,
            visible: row.try_get("visible")?,
            created: row.try_get("created")?,
            available: row.try_get("available")?,
            server_major: row.try_get("server_major")?,
        })
    }

    /// Why pgvector is not used.
    pub(super) fn reason(&self) -> String {
        match (&self.created, &self.available, &self.remembered) {
            (Some(_), _, _) if !self.visible => {
                "the extension is in a schema that is not on the search path".to_owned()
            }
            (None, None, _) => "the server does not have the extension".to_owned(),
            (_, _, Some(remembered)) => remembered.clone(),
            (_, _, None) => "the server has the extension, but the database was not migrated since".to_owned(),
        }
    }

    /// What to do to have it used.
    pub(super) fn remedy(&self) -> String {
        match (&self.created, &self.available, &self.remembered) {
            (Some(_), _, _) if !self.visible => {
                "run `ALTER EXTENSION vector SET SCHEMA public` in this database, then `brain migrate up`".to_owned()
            }
            (None, None, _) => format!(
                "install pgvector for the server (the pgvector/pgvector image, or the package postgresql-{}-pgvector), \
                 then run `brain migrate up`",
                self.server_major
            ),
            (None, _, Some(_)) => {
                "let a superuser run `CREATE EXTENSION vector` in this database, then run `brain migrate up`".to_owned()
            }
            (Some(_), _, Some(_)) => "mend that, then run `brain migrate up`".to_owned(),
            (_, _, None) => "run `brain migrate up`".to_owned(),
        }
    }

    /// Whether trying to adopt it may succeed, where it is not adopted.
    pub(super) fn adoptable(&self) -> bool {
        if self.created.is_some() {
            self.visible
        } else {
            self.available.is_some()
        }
    }
}
