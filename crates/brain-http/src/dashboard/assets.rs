//! The script, the style and the sign of the dashboard: files that are part of this program.

use axum::{http::Uri, response::Response};

use super::reply;
use crate::{problem::Problem, query::Query};

pub(crate) async fn script(uri: Uri) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    Ok(reply::file("text/javascript; charset=utf-8", include_str!("app.js")))
}

pub(crate) async fn style(uri: Uri) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    Ok(reply::file("text/css; charset=utf-8", include_str!("app.css")))
}

pub(crate) async fn icon(uri: Uri) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    Ok(reply::file("image/svg+xml", include_str!("icon.svg")))
}
