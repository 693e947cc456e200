//! What the commands share that show or change one thing of a swarm or a tenant: one request, one answer, two forms of output.

use anyhow::{Context as _, bail};
use brain_config::Config;
use reqwest::Method;
use serde_json::{Map, Value};

use super::listing;
use crate::cli::{ChangeArgs, Format, OneArgs, ShowArgs};
use crate::client::Client;
use crate::render;

/// The fields of a body. What is not given is for the server to choose.
#[derive(Default)]
pub(super) struct Body(Map<String, Value>);

impl Body {
    /// A body that says who does it.
    pub(super) fn by(change: &ChangeArgs) -> Self {
        Self::default().with("actorId", Some(change.actor.as_str()))
    }

    pub(super) fn with(mut self, field: &str, value: Option<impl Into<Value>>) -> Self {
        if let Some(value) = value {
            self.0.insert(field.to_owned(), value.into());
        }
        self
    }

    /// A field of several values, if there is one at least.
    pub(super) fn with_all(self, field: &str, values: &[String]) -> Self {
        let values = (!values.is_empty()).then(|| values.to_vec());
        self.with(field, values)
    }

    /// A field that is given as JSON text by this option.
    pub(super) fn with_json(self, field: &str, option: &str, text: Option<&str>) -> anyhow::Result<Self> {
        let value: Option<Value> = text
            .map(serde_json::from_str)
            .transpose()
            .with_context(|| format!("{option} is not JSON"))?;
        Ok(self.with(field, value))
    }

    /// A field that is given as the text of a JSON object by this option.
    pub(super) fn with_object(self, field: &str, option: &str, text: Option<&str>) -> anyhow::Result<Self> {
        let body = self.with_json(field, option, text)?;
        if body.0.get(field).is_some_and(|value| !value.is_object()) {
            bail!("{option} must be a JSON object, such as '{{\"n\":1}}'");
        }
        Ok(body)
    }

    pub(super) fn into_fields(self) -> Map<String, Value> {
        self.0
    }
}

/// Reads one thing and prints it.
pub(super) async fn show(
    config: &Config,
    path: &[&str],
    args: &ShowArgs,
    shown: fn(&Value) -> String,
) -> anyhow::Result<()> {
    let query = listing::query(&[("swarmId", &args.swarm)]);
    let thing = Client::new(config, &args.server)?.get(path, &query).await?;
    print(&thing, args.output, shown)
}

/// Makes a change and prints the answer.
pub(super) async fn change(
    config: &Config,
    path: &[&str],
    args: &ShowArgs,
    body: Body,
    shown: fn(&Value) -> String,
) -> anyhow::Result<()> {
    let query = listing::query(&[("swarmId", &args.swarm)]);
    let body = serde_json::to_vec(&body.into_fields())?;
    let client = Client::new(config, &args.server)?;
    let answer = client.change(Method::POST, path, &query, Some(body)).await?;
    print(&answer, args.output, shown)
}

/// Makes a change to something of a tenant and prints the answer.
pub(super) async fn alter(
    config: &Config,
    path: &[&str],
    one: &OneArgs,
    body: Body,
    shown: fn(&Value) -> String,
) -> anyhow::Result<()> {
    let body = serde_json::to_vec(&body.into_fields())?;
    let answer = Client::new(config, &one.server)?.post(path, Some(body)).await?;
    print(&answer, one.output, shown)
}

/// Prints one thing, for people or for programs.
pub(super) fn print(answer: &Value, output: Format, shown: fn(&Value) -> String) -> anyhow::Result<()> {
    match output {
        Format::Json => render::print_json(answer),
        Format::Table => Ok(render::print(&shown(answer))?),
    }
}
