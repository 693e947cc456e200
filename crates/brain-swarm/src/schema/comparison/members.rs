//! What is inside: the properties of objects and the items of lists.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Given, Prover, escaped, list, types::Types};

/// What a schema says by a keyword whose absence means that everything is taken.
static ANYTHING: Value = Value::Bool(true);

fn named<'a>(keywords: &'a Map<String, Value>, keyword: &str) -> Option<&'a Map<String, Value>> {
    keywords.get(keyword).and_then(Value::as_object)
}

fn entry<'a>(keywords: &'a Map<String, Value>, keyword: &str, name: &str) -> Option<&'a Value> {
    named(keywords, keyword)?.get(name)
}

fn has_patterns(keywords: &Map<String, Value>) -> bool {
    named(keywords, "patternProperties").is_some_and(|patterns| !patterns.is_empty())
}

impl<'a> Prover<'a> {
    pub(super) fn members(
        &mut self,
        given: &Given<'a>,
        keywords: &'a Map<String, Value>,
        keyword: &str,
        value: &'a Value,
        place: &str,
    ) {
        if matches!(keyword, "items" | "prefixItems") {
            // Both are one rule, told under the one that comes first.
            if given.types.meets(Types::ARRAY) && (keyword == "items" || !keywords.contains_key("items")) {
                self.items(given, keywords, place);
            }
            return;
        }
        if !given.types.meets(Types::OBJECT) {
            return;
        }
        let rule = ["properties", "patternProperties", "additionalProperties"];
        match keyword {
            "required" => self.required(given, value, place),
            _ if rule.contains(&keyword) => {
                let first = rule.into_iter().find(|one| keywords.contains_key(*one));
                if first == Some(keyword) {
                    self.properties(given, keywords, place);
                }
            }
            "propertyNames" => {
                let own = given.parts.iter().filter_map(|part| part.get("propertyNames"));
                let mut names = self.given(&own.collect::<Vec<_>>());
                names.types = names.types.and(Types::STRING);
                self.prove(&names, value, &format!("{place}/propertyNames"));
            }
            "dependentRequired" => self.dependent_required(given, value, place),
            "dependentSchemas" => {
                for (name, schema) in value.as_object().into_iter().flatten() {
                    if self.property(given, name).is_impossible() {
                        continue;
                    }
                    let mut with = given.clone();
                    for part in &given.parts {
                        if let Some(own) = entry(part, keyword, name) {
                            self.learn(&mut with, own);
                        }
                    }
                    self.prove(&with, schema, &format!("{place}/dependentSchemas/{}", escaped(name)));
                }
            }
            // Annotations, definitions, and what goes with another keyword.
            _ => {}
        }
    }

    fn required(&mut self, given: &Given<'a>, value: &Value, place: &str) {
        for name in value.as_array().into_iter().flatten() {
            let promised = given
                .parts
                .iter()
                .any(|part| list(part, "required").any(|own| own == name));
            if !promised {
                let problem = format!("the reader requires {name}, which the writer may leave out");
                self.report(place, "required", problem);
            }
        }
    }

    fn dependent_required(&mut self, given: &Given<'a>, value: &Value, place: &str) {
        for (name, wanted) in value.as_object().into_iter().flatten() {
            if self.property(given, name).is_impossible() {
                continue;
            }
            for other in wanted.as_array().into_iter().flatten() {
                let promised = given.parts.iter().any(|part| {
                    let own = entry(part, "dependentRequired", name).and_then(Value::as_array);
                    list(part, "required").any(|own| own == other) || own.is_some_and(|own| own.contains(other))
                });
                if !promised {
                    let problem =
                        format!("the reader requires {other} beside {name:?}, which the writer may leave out");
                    self.report(place, "dependentRequired", problem);
                }
            }
        }
    }

    /// What is known of the value of a property, where it is there.
    fn property(&self, given: &Given<'a>, name: &str) -> Given<'a> {
        self.given(&self.property_schemas(given, name))
    }

    fn property_schemas(&self, given: &Given<'a>, name: &str) -> Vec<&'a Value> {
        let of_part = |part: &&'a Map<String, Value>| match entry(part, "properties", name) {
            Some(schema) => Some(schema),
            // A pattern may take the name out of what is said of additional properties.
            None if has_patterns(part) => None,
            None => part.get("additionalProperties"),
        };
        given.parts.iter().filter_map(of_part).collect()
    }

    fn properties(&mut self, given: &Given<'a>, keywords: &'a Map<String, Value>, place: &str) {
        let additional = keywords.get("additionalProperties").unwrap_or(&ANYTHING);
        let no_patterns = Map::new();
        let patterns: Vec<(&'a String, &'a Value)> =
            named(keywords, "patternProperties").into_iter().flatten().collect();
        let own = given.parts.iter().chain([&keywords]);
        let names: BTreeSet<&'a String> = own
            .filter_map(|part| named(part, "properties"))
            .flat_map(Map::keys)
            .collect();
        for name in names {
            let schemas = self.property_schemas(given, name);
            let value = self.given(&schemas);
            if value.is_impossible() {
                continue;
            }
            let at = format!("{place}/properties/{}", escaped(name));
            match entry(keywords, "properties", name) {
                Some(schema) => self.prove(&value, schema, &at),
                None if *additional == Value::Bool(false) => {
                    let problem = if patterns.is_empty() {
                        "the writer may write it, which the reader does not take"
                    } else {
                        "cannot be proven: the writer may write it, and whether a pattern of the reader takes it is open"
                    };
                    self.report(&at, "", problem);
                }
                None => self.prove(&value, additional, &at),
            }
            for (pattern, schema) in &patterns {
                // Where the name fits the pattern, what the writer says of the same pattern holds too.
                let same = given
                    .parts
                    .iter()
                    .filter_map(|part| entry(part, "patternProperties", pattern));
                let schemas: Vec<&'a Value> = schemas.iter().copied().chain(same).collect();
                let value = self.given(&schemas);
                let at = format!("{place}/patternProperties/{}", escaped(pattern));
                self.prove(&value, schema, &at);
            }
        }
        // Every other name: one that fits a pattern of the reader, or none.
        for (pattern, schema) in &patterns {
            let of_part = |part: &&'a Map<String, Value>| match entry(part, "patternProperties", pattern) {
                Some(own) => Some(own),
                None if has_patterns(part) => None,
                None => part.get("additionalProperties"),
            };
            let schemas: Vec<&'a Value> = given.parts.iter().filter_map(of_part).collect();
            let value = self.given(&schemas);
            let at = format!("{place}/patternProperties/{}", escaped(pattern));
            self.prove(&value, schema, &at);
        }
        let known = |pattern: &String| patterns.iter().any(|(other, _)| *other == pattern);
        let apart = |part: &&&'a Map<String, Value>| {
            let own = named(part, "patternProperties").unwrap_or(&no_patterns);
            own.keys().all(known)
        };
        let schemas: Vec<&'a Value> = given
            .parts
            .iter()
            .filter(apart)
            .filter_map(|part| part.get("additionalProperties"))
            .collect();
        let value = self.given(&schemas);
        let at = format!("{place}/additionalProperties");
        if *additional == Value::Bool(false) && !value.is_impossible() {
            self.report(
                &at,
                "",
                "the writer may write properties that the reader does not know and does not take",
            );
        } else {
            self.prove(&value, additional, &at);
        }
    }

    fn items(&mut self, given: &Given<'a>, keywords: &'a Map<String, Value>, place: &str) {
        let prefix = |part: &'a Map<String, Value>| part.get("prefixItems").and_then(Value::as_array);
        let at = |part: &'a Map<String, Value>, position: usize| {
            let own = prefix(part).and_then(|prefix| prefix.get(position));
            own.or_else(|| part.get("items"))
        };
        let parts = || given.parts.iter().copied().chain([keywords]);
        let longest = parts().filter_map(prefix).map(Vec::len).max().unwrap_or(0);
        // One more stands for all that follow.
        for position in 0..=longest {
            let Some(wanted) = at(keywords, position) else { continue };
            let schemas: Vec<&'a Value> = given.parts.iter().filter_map(|part| at(part, position)).collect();
            let value = self.given(&schemas);
            let place = match prefix(keywords) {
                Some(prefix) if position < prefix.len() => format!("{place}/prefixItems/{position}"),
                _ => format!("{place}/items"),
            };
            self.prove(&value, wanted, &place);
        }
    }
}
