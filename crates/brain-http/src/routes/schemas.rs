//! The catalogue of event schemas.

use axum::{
    http::{StatusCode, Uri},
    response::Response,
};
use brain_swarm::schema;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{problem::Problem, query::Query, reply};

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "SchemaCatalogue")]
pub(crate) struct Catalogue {
    schemas: Vec<Entry>,
}

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "SchemaEntry")]
pub(crate) struct Entry {
    r#type: &'static str,
    version: i16,
    schema: &'static RawValue,
}

/// The JSON Schema of every known event type and version.
pub(crate) async fn list(uri: Uri) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    let entry = |(kind, version, text): &(&'static str, i16, &'static str)| {
        let schema = serde_json::from_str(text).map_err(Problem::internal)?;
        Ok(Entry {
            r#type: kind,
            version: *version,
            schema,
        })
    };
    let schemas = schema::catalogue().iter().map(entry).collect::<Result<_, Problem>>()?;
    reply::json(StatusCode::OK, &Catalogue { schemas })
}
