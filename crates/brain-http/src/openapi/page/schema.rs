//! Schemas for people: what kind of value it is, in a line, and its fields where it has a name.

use serde_json::Value;

use super::markup::{Html, text};

/// The bounds that a line names, as JSON Schema calls them.
const BOUNDS: [(&str, &str); 8] = [
    ("minimum", "at least "),
    ("maximum", "at most "),
    ("minLength", "characters at least "),
    ("maxLength", "characters at most "),
    ("minItems", "items at least "),
    ("maxItems", "items at most "),
    ("default", "default "),
    ("pattern", "pattern "),
];

/// What kind of value it is, in a line.
pub(super) fn line(html: &mut Html, schema: &Value) {
    html.raw("<p class=\"schema\">");
    kind(html, schema);
    html.raw("</p>");
}

/// A schema with its name and its fields.
pub(super) fn section(html: &mut Html, name: &str, schema: &Value) {
    html.raw("<section class=\"schema\" id=\"schema-");
    html.text(name);
    html.raw("\"><h3>");
    html.text(name);
    html.raw("</h3>");
    html.prose(text(schema, "description"));
    match schema["properties"].as_object() {
        Some(fields) => {
            let required = schema["required"].as_array();
            html.raw("<dl>");
            for (field, one) in fields {
                html.raw("<dt><code>");
                html.text(field);
                html.raw("</code> <span class=\"kind\">");
                kind(html, one);
                if required.is_some_and(|required| required.iter().any(|name| name == field)) {
                    html.raw(", required");
                }
                html.raw("</span></dt><dd>");
                html.prose(text(one, "description"));
                html.raw("</dd>");
            }
            html.raw("</dl>");
        }
        None => line(html, schema),
    }
    html.raw("</section>");
}

fn kind(html: &mut Html, schema: &Value) {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default();
        html.raw("<a href=\"#schema-");
        html.text(name);
        html.raw("\">");
        html.text(name);
        html.raw("</a>");
        return;
    }
    for several in ["oneOf", "anyOf", "allOf"] {
        if let Some(choices) = schema[several].as_array() {
            let between = if several == "allOf" { " and " } else { " or " };
            for (place, choice) in choices.iter().enumerate() {
                html.raw(if place > 0 { between } else { "" });
                kind(html, choice);
            }
            return;
        }
    }
    if let Some(only) = schema.get("const") {
        word(html, only);
        return;
    }
    if let Some(words) = schema["enum"].as_array() {
        for (place, one) in words.iter().enumerate() {
            html.raw(if place > 0 { " or " } else { "" });
            word(html, one);
        }
        return;
    }
    match &schema["type"] {
        Value::String(one) if one == "array" => {
            html.raw("list of ");
            kind(html, &schema["items"]);
        }
        Value::String(one) => html.text(one),
        Value::Array(several) => {
            let names: Vec<&str> = several.iter().filter_map(Value::as_str).collect();
            html.text(&names.join(" or "));
        }
        _ => html.raw("any value"),
    }
    if let Some(format) = schema["format"].as_str().filter(|format| !format.contains("int")) {
        html.text(&format!(" ({format})"));
    }
    for (name, says) in BOUNDS {
        if let Some(bound) = schema.get(name) {
            html.text(&format!(", {says}"));
            word(html, bound);
        }
    }
}

fn word(html: &mut Html, value: &Value) {
    html.raw("<code>");
    match value.as_str() {
        Some(text) => html.text(text),
        None => html.text(&value.to_string()),
    }
    html.raw("</code>");
}
