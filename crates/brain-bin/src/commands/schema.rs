//! `brain schema`: lists, shows, registers and checks the schemas of event types.

use brain_config::Config;
use serde_json::{Value, json};

use super::given::{object, object_in};
use super::listing::{self, Column, moment, pretty, text};
use crate::cli::{Format, SchemaCommand, SchemaFileArgs};
use crate::client::Client;
use crate::exit::Verdict;
use crate::render::{self, escape::escaped, table::fields};

const SCHEMAS: [&str; 3] = ["api", "swarm", "schemas"];

const COLUMNS: [Column; 5] = [
    ("TYPE", |schema| text(schema, "type")),
    ("VERSION", |schema| text(schema, "version")),
    ("COMPATIBILITY", |schema| match text(schema, "compatibility") {
        none if none.is_empty() => "built in".to_owned(),
        registered => registered,
    }),
    ("BY", |schema| text(schema, "createdBy")),
    ("REGISTERED", |schema| moment(schema, "createdAt")),
];

pub(super) async fn run(config: &Config, command: SchemaCommand) -> anyhow::Result<Verdict> {
    match command {
        SchemaCommand::List { kind, list, server } => {
            let client = Client::new(config, &server)?;
            let query = listing::query(&[("type", &kind)]);
            let (schemas, more) = client.list(&SCHEMAS, "schemas", &query, list.limit).await?;
            listing::print(list.output, "schemas", &schemas, more, &COLUMNS)?;
        }
        SchemaCommand::Show {
            kind,
            schema_version,
            output,
            server,
        } => {
            let client = Client::new(config, &server)?;
            let schema = match schema_version {
                Some(version) => client.get(&path(&[&kind, &version.to_string()]), &[]).await?,
                None => newest(&client.get(&path(&[&kind]), &[]).await?),
            };
            print(&schema, output, shown)?;
        }
        SchemaCommand::Register(args) => {
            let client = Client::new(config, &args.server)?;
            let registered = client.post(&SCHEMAS, Some(body(&args)?)).await?;
            print(&registered, args.output, shown)?;
        }
        SchemaCommand::Check(args) => {
            let client = Client::new(config, &args.server)?;
            let checked = client.post(&path(&["check"]), Some(body(&args)?)).await?;
            print(&checked, args.output, told)?;
            return Ok(verdict(&checked, "compatible"));
        }
        SchemaCommand::Validate {
            kind,
            schema_version,
            payload,
            file,
            output,
            server,
        } => {
            let payload = match &file {
                Some(file) => object_in(file)?,
                None => object(&payload.unwrap_or_default(), "--payload")?,
            };
            let mut body = json!({ "type": kind, "payload": payload });
            if let Some(version) = schema_version {
                body["schemaVersion"] = version.into();
            }
            let client = Client::new(config, &server)?;
            let validated = client
                .post(&path(&["validate"]), Some(serde_json::to_vec(&body)?))
                .await?;
            print(&validated, output, told)?;
            return Ok(verdict(&validated, "valid"));
        }
    }
    Ok(Verdict::Ok)
}

fn path<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&SCHEMAS[..], more].concat()
}

fn newest(versions: &Value) -> Value {
    let mut schemas = listing::items(versions, "schemas");
    schemas.pop().unwrap_or_default()
}

fn verdict(answer: &Value, field: &str) -> Verdict {
    match answer.get(field).and_then(Value::as_bool) {
        Some(true) => Verdict::Ok,
        _ => Verdict::NotOk,
    }
}

/// What the options say; what they leave out is for the server to choose.
fn body(args: &SchemaFileArgs) -> anyhow::Result<Vec<u8>> {
    let schema = object_in(&args.file)?;
    let mut body = json!({ "type": args.kind, "schema": schema });
    if let Some(compatibility) = &args.compatibility {
        body["compatibility"] = compatibility.as_str().into();
    }
    if let Some(version) = args.schema_version {
        body["version"] = version.into();
    }
    Ok(serde_json::to_vec(&body)?)
}

fn print(document: &Value, output: Format, table: fn(&Value) -> String) -> anyhow::Result<()> {
    match output {
        Format::Json => render::print_json(document),
        Format::Table => Ok(render::print(&table(document))?),
    }
}

fn shown(schema: &Value) -> String {
    let head = fields([
        ("type", text(schema, "type")),
        ("version", text(schema, "version")),
        ("compatibility", text(schema, "compatibility")),
        ("by", text(schema, "createdBy")),
        ("registered", moment(schema, "createdAt")),
    ]);
    let lines: Vec<String> = pretty(schema, "schema")
        .lines()
        .map(|line| format!("  {}", escaped(line)))
        .collect();
    format!("{head}\n\nschema:\n{}", lines.join("\n"))
}

/// What a check says: that all is well, or each problem with its place.
fn told(answer: &Value) -> String {
    let problems = listing::items(answer, "problems");
    if problems.is_empty() {
        return match answer.get("version") {
            Some(version) => format!("ok, as version {version}"),
            None => "ok".to_owned(),
        };
    }
    let lines = problems.iter().map(|problem| {
        let words = ["direction", "place", "problem"].map(|field| text(problem, field));
        let words: Vec<String> = words
            .iter()
            .filter(|word| !word.is_empty())
            .map(|word| escaped(word).to_string())
            .collect();
        words.join("  ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_shown_whole() {
        let schema = json!({"type": "build.done", "version": 2, "compatibility": "full", "createdBy": "me",
            "createdAt": "2026-01-01T00:00:00Z", "schema": {"title": "a\u{7}"}});
        insta::assert_snapshot!(shown(&schema), @r#"
        type           build.done
        version        2
        compatibility  full
        by             me
        registered     2026-01-01 00:00:00Z

        schema:
          {
            "title": "a\u0007"
          }
        "#);
    }

    #[test]
    fn problems_are_told_with_their_places() {
        assert_eq!(
            told(&json!({"compatible": true, "version": 3, "problems": []})),
            "ok, as version 3"
        );
        assert_eq!(told(&json!({"valid": true, "problems": []})), "ok");
        let problems = json!([
            {"direction": "backward", "place": "/required", "problem": "the reader requires \"b\""},
            {"place": "", "problem": "no such schema version\u{1b}"},
        ]);
        insta::assert_snapshot!(told(&json!({ "problems": problems })), @r#"
        backward  /required  the reader requires "b"
        no such schema version\u{1b}
        "#);
    }
}
