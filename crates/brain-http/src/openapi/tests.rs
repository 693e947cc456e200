//! What holds for the document as a whole.

use std::collections::BTreeSet;

use super::*;
use crate::dashboard;

fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().into_iter().flatten();
            methods.map(move |(method, operation)| (path.clone(), method.to_ascii_uppercase(), operation))
        })
        .collect()
}

#[test]
fn every_operation_of_the_table_is_described_and_nothing_else() {
    let described: BTreeSet<String> = GROUPS
        .iter()
        .flat_map(|(_, _, operations)| *operations)
        .map(|one| format!("{} {}", one.method, one.path))
        .collect();
    let served: BTreeSet<String> = routes::operations()
        .filter(|(_, template, _)| !dashboard::is_page(template))
        .map(|(method, template, _)| format!("{method} {template}"))
        .collect();
    assert_eq!(
        described, served,
        "describe a new operation in the file of its resource under src/openapi"
    );
    let document = document().0;
    assert_eq!(operations(&document).len(), served.len());
}

/// They are for people with a browser: what they show and do, programs have by the operations that are described.
#[test]
fn the_pages_of_the_dashboard_are_left_out() {
    let document = document().0;
    assert!(
        operations(&document)
            .iter()
            .all(|(path, _, _)| !dashboard::is_page(path))
    );
    let pages = routes::operations().filter(|(_, template, _)| dashboard::is_page(template));
    assert!(pages.count() > 10);
    for (method, template, need) in routes::operations() {
        let session = matches!(need, Need::Visitor | Need::Session(..));
        assert!(!session || dashboard::is_page(template), "{method} {template}");
    }
}

#[test]
fn names_are_unique_and_no_schema_has_two_meanings() {
    let (document, twice) = document();
    assert!(twice.is_empty(), "written otherwise than read: {twice:?}");
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
        assert!(!id.is_empty() && ids.insert(id), "{method} {path}");
        assert_ne!(operation["summary"], "", "{method} {path}");
    }
    let schemas = document["components"]["schemas"].as_object().into_iter().flatten();
    for (name, _) in schemas {
        assert!(
            !name.ends_with(|c: char| c.is_ascii_digit()),
            "{name} is the second of its name"
        );
    }
}

#[test]
fn paths_name_the_parameters_that_they_have() {
    let document = document().0;
    for (path, method, operation) in operations(&document) {
        let wanted: Vec<&str> = path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            .collect();
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let named: Vec<&str> = parameters
            .filter(|parameter| parameter["in"] == "path")
            .filter_map(|parameter| parameter["name"].as_str())
            .collect();
        assert_eq!(named, wanted, "{method} {path}");
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn follow(value: &Value, document: &Value) {
        match value {
            Value::Object(fields) => {
                if let Some(place) = fields.get("$ref").and_then(Value::as_str) {
                    let target = place.strip_prefix('#').and_then(|place| document.pointer(place));
                    assert!(target.is_some(), "{place}");
                }
                fields.values().for_each(|value| follow(value, document));
            }
            Value::Array(items) => items.iter().for_each(|value| follow(value, document)),
            _ => {}
        }
    }
    let document = document().0;
    follow(&document, &document);
}

#[test]
fn the_document_is_what_was_reviewed() {
    let mut document = document().0;
    document["info"]["version"] = "[version]".into();
    let text = serde_json::to_string_pretty(&document).unwrap_or_default();
    insta::assert_snapshot!("document", text);
}
