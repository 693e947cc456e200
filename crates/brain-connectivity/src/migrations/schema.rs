//! The schema that the code relies on, and how a database differs from it.
//!
//! `schema.txt` is what the migrations lead to, one object a line. An integration test migrates an empty database
//! and compares, so the file cannot go stale.

use std::collections::BTreeMap;
use std::fmt;

use tokio_postgres::GenericClient;

use super::Error;

const EXPECTED: &str = include_str!("schema.txt");

/// Between the types that a column may have: embeddings are a `vector` where pgvector is, else an array.
const EITHER: &str = " or ";

/// Something that a schema has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// A table.
    Table(String),
    /// A column of a table.
    Column(String, String),
    /// A constraint of a table.
    Constraint(String, String),
    /// An index of a table that no constraint made.
    Index(String, String),
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(table) => write!(f, "table {table}"),
            Self::Column(table, name) => write!(f, "column {table}.{name}"),
            Self::Constraint(table, name) => write!(f, "constraint {table}.{name}"),
            Self::Index(table, name) => write!(f, "index {table}.{name}"),
        }
    }
}

impl Item {
    fn new(kind: &str, table: &str, name: &str) -> Option<Self> {
        let (table, name) = (table.to_owned(), name.to_owned());
        match kind {
            "table" => Some(Self::Table(table)),
            "column" => Some(Self::Column(table, name)),
            "constraint" => Some(Self::Constraint(table, name)),
            "index" => Some(Self::Index(table, name)),
            _ => None,
        }
    }

    fn table(&self) -> &str {
        match self {
            Self::Table(table) | Self::Column(table, _) | Self::Constraint(table, _) | Self::Index(table, _) => table,
        }
    }
}

/// How a database differs from what the code relies on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// Something is not there.
    Missing(Item),
    /// Something is there, but not as it should be.
    Altered {
        /// What it is.
        item: Item,
        /// As it should be.
        expected: String,
        /// As it is.
        found: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(item) => write!(f, "{item} is missing"),
            Self::Altered { item, expected, found } => write!(f, "{item} is `{found}`, not `{expected}`"),
        }
    }
}

/// The objects of a schema, each with its definition: of a column its type, of a constraint its rule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schema(BTreeMap<Item, String>);

impl Schema {
    /// What the code of this build relies on.
    #[must_use]
    pub fn expected() -> Self {
        Self(EXPECTED.lines().filter_map(parse_line).collect())
    }

    /// What the database has, apart from what extensions own.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn read(client: &impl GenericClient) -> Result<Self, Error> {
        let rows = client.query(include_str!("sql/select_schema.sql"), &[]).await?;
        let mut items = BTreeMap::new();
        for row in &rows {
            let kind: &str = row.try_get("kind")?;
            let item = Item::new(kind, row.try_get("table_name")?, row.try_get("name")?);
            if let Some(item) = item {
                items.insert(item, row.try_get("definition")?);
            }
        }
        Ok(Self(items))
    }

    /// What of this schema the other one lacks or has otherwise. What the other has besides is its own affair.
    #[must_use]
    pub fn differences(&self, found: &Self) -> Vec<Difference> {
        let mut differences = Vec::new();
        for (item, expected) in &self.0 {
            let table = Item::Table(item.table().to_owned());
            if *item != table && !found.0.contains_key(&table) {
                // The table is named once; its parts are gone with it.
                continue;
            }
            match found.0.get(item) {
                None => differences.push(Difference::Missing(item.clone())),
                Some(definition) if !fits(expected, definition) => {
                    differences.push(Difference::Altered {
                        item: item.clone(),
                        expected: expected.clone(),
                        found: definition.clone(),
                    });
                }
                Some(_) => {}
            }
        }
        differences
    }
}

/// One object a line, in order: the form of `schema.txt`.
impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (item, definition) in &self.0 {
            writeln!(f, "{}", format!("{item} {definition}").trim_end())?;
        }
        Ok(())
    }
}

fn parse_line(line: &str) -> Option<(Item, String)> {
    let (kind, rest) = line.split_once(' ')?;
    let (object, definition) = rest.split_once(' ').unwrap_or((rest, ""));
    let (table, name) = object.split_once('.').unwrap_or((object, ""));
    Some((Item::new(kind, table, name)?, definition.to_owned()))
}

/// Whether a definition is one of those expected. A type also stands for itself with a size, as `vector(1536)`.
fn fits(expected: &str, found: &str) -> bool {
    expected.split(EITHER).any(|one| {
        found
            .strip_prefix(one)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('('))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(text: &str) -> Schema {
        Schema(text.lines().filter_map(parse_line).collect())
    }

    fn differences(expected: &str, found: &str) -> Vec<String> {
        schema(expected)
            .differences(&schema(found))
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    const FULL: &str = "table t\ncolumn t.a text not null\ncolumn t.b real[] or vector\nconstraint t.c CHECK ((a <> ''::text))\nindex t.i\n";

    #[test]
    fn what_is_written_is_read_again() {
        assert_eq!(schema(FULL).to_string().lines().count(), 5);
        assert_eq!(schema(&schema(FULL).to_string()), schema(FULL));
        assert_eq!(Schema::expected().to_string(), EXPECTED);
    }

    #[test]
    fn names_what_is_missing_or_altered_and_ignores_what_is_more() {
        let found = "table t\ncolumn t.a integer\ncolumn t.b vector(3)\ncolumn t.more text\ntable u\n";
        assert_eq!(
            differences(FULL, found),
            [
                "column t.a is `integer`, not `text not null`",
                "constraint t.c is missing",
                "index t.i is missing",
            ]
        );
    }

    #[test]
    fn a_missing_table_is_named_once() {
        assert_eq!(differences(FULL, "table u\n"), ["table t is missing"]);
    }
}
