//! What the listing commands share: fields of items as text, the three forms of output, and options that several read alike.

use jiff::{SignedDuration, Span, SpanRelativeTo};
use serde_json::{Value, json};

use crate::cli::ListFormat;
use crate::exit::Usage;
use crate::render::{self, table::Grid};

/// One column: its heading, and how an item fills it.
pub(super) type Column = (&'static str, fn(&Value) -> String);

/// Prints the items of a list in the wanted form; `name` is what a JSON document calls them.
pub(super) fn print(
    format: ListFormat,
    name: &str,
    items: &[Value],
    more: bool,
    columns: &[Column],
) -> anyhow::Result<()> {
    match format {
        ListFormat::Json => render::print_json(&json!({ name: items, "more": more })),
        ListFormat::Jsonl => items.iter().try_for_each(render::print_json_line),
        ListFormat::Table => Ok(render::print(&table(items, more, columns))?),
    }
}

fn table(items: &[Value], more: bool, columns: &[Column]) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    let headings: Vec<&str> = columns.iter().map(|(heading, _)| *heading).collect();
    let mut grid = Grid::new(&headings);
    for item in items {
        grid.row(columns.iter().map(|(_, fill)| fill(item)));
    }
    let table = grid.finish();
    match more {
        true => format!("{table}\n\nthe first {}; there are more, see --limit", items.len()),
        false => table,
    }
}

/// The items of a list within a document.
pub(super) fn items(document: &Value, name: &str) -> Vec<Value> {
    document
        .get(name)
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default()
}

/// A field as text: nothing when it is absent or null, compact JSON when it is no plain value.
pub(super) fn text(item: &Value, field: &str) -> String {
    match item.get(field) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// A field that holds a moment, as how long ago that was.
pub(super) fn ago(item: &Value, field: &str) -> String {
    render::quantity::ago_text(&text(item, field), jiff::Timestamp::now())
}

/// A field that holds a moment.
pub(super) fn moment(item: &Value, field: &str) -> String {
    render::quantity::moment_text(&text(item, field))
}

/// A field of any JSON value, indented for reading.
pub(super) fn pretty(item: &Value, field: &str) -> String {
    match item.get(field) {
        None | Some(Value::Null) => String::new(),
        Some(value) => serde_json::to_string_pretty(value).unwrap_or_default(),
    }
}

/// A field that holds several words.
pub(super) fn words(item: &Value, field: &str) -> String {
    let words = item.get(field).and_then(Value::as_array);
    let words: Vec<&str> = words.into_iter().flatten().filter_map(Value::as_str).collect();
    words.join(" ")
}

/// How long something is to live, as `--expires-in` says it.
pub(super) fn life(text: &str) -> Result<SignedDuration, Usage> {
    let wrong = || Usage(format!("--expires-in {text}: write a time such as 45m, 12h or 30d"));
    let span: Span = text.parse().map_err(|_| wrong())?;
    let life = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| wrong())?;
    if life <= SignedDuration::ZERO || life > SignedDuration::from_hours(24 * 365 * 100) {
        return Err(wrong());
    }
    Ok(life)
}

/// The same in milliseconds, as bodies say it.
pub(super) fn life_ms(text: &str) -> Result<i64, Usage> {
    Ok(i64::try_from(life(text)?.as_millis()).unwrap_or(i64::MAX))
}

/// The parameters that are given.
pub(super) fn query(parameters: &[(&'static str, &Option<String>)]) -> Vec<(&'static str, String)> {
    let given = parameters
        .iter()
        .filter_map(|(name, value)| Some((*name, value.as_ref()?.clone())));
    given.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_says_when_there_is_nothing_or_more() {
        let columns: [Column; 2] = [("ID", |item| text(item, "id")), ("DATA", |item| text(item, "data"))];
        assert_eq!(table(&[], false, &columns), "none");
        let items = [
            json!({"id": "a\u{7}", "data": {"n": 1}}),
            json!({"id": "b", "data": null}),
        ];
        insta::assert_snapshot!(table(&items, true, &columns), @r#"
        ID      DATA
        a\u{7}  {"n":1}
        b

        the first 2; there are more, see --limit
        "#);
    }
}
