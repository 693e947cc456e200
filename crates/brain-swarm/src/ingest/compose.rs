//! Several statements as one: each message to the server costs as much as a small statement, on both sides.

use super::transaction::Parameters;

/// A statement with its parameters.
pub(super) type Part<'a> = (&'static str, Parameters<'a>);

/// Statements that change different rows and answer nothing, done with the last one, which may answer. All see what was there before
/// any of them. `None` for none.
pub(super) fn changes<'a>(parts: Vec<Part<'a>>) -> Option<(String, Parameters<'a>)> {
    let last = parts.len().checked_sub(1)?;
    let mut sql = String::new();
    let mut parameters = Parameters::new();
    for (n, (part, own)) in parts.into_iter().enumerate() {
        match n {
            0 if n < last => sql.push_str("WITH part0 AS (\n"),
            _ if n < last => sql.push_str(&format!(", part{n} AS (\n")),
            _ => {}
        }
        push(&mut sql, part, parameters.len());
        if n < last {
            sql.push(')');
        }
        sql.push('\n');
        parameters.extend(own);
    }
    Some((sql, parameters))
}

/// Queries of the same columns as one, between `head` and `tail`. `None` for none.
pub(super) fn union<'a>(head: &str, parts: Vec<Part<'a>>, tail: &str) -> Option<(String, Parameters<'a>)> {
    if parts.is_empty() {
        return None;
    }
    let mut sql = head.to_owned();
    let mut parameters = Parameters::new();
    for (n, (part, own)) in parts.into_iter().enumerate() {
        sql.push_str(if n == 0 { "(\n" } else { "UNION ALL (\n" });
        push(&mut sql, part, parameters.len());
        sql.push_str(")\n");
        parameters.extend(own);
    }
    sql.push_str(tail);
    Some((sql, parameters))
}

/// Adds a statement whose `$1` becomes `$1 + by`, and so on.
fn push(sql: &mut String, part: &str, by: usize) {
    let mut pieces = part.split('$');
    sql.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let end = piece.find(|c: char| !c.is_ascii_digit()).unwrap_or(piece.len());
        let (number, rest) = piece.split_at(end);
        sql.push('$');
        match number.parse::<usize>() {
            Ok(number) => sql.push_str(&(number + by).to_string()),
            Err(_) => sql.push_str(number),
        }
        sql.push_str(rest);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn numbers_go_on_where_those_of_the_statement_before_end() {
        let (a, b, c) = (1_i32, 2_i32, 3_i32);
        let parts: Vec<Part<'_>> = vec![
            ("UPDATE a SET x = $1, y = $2", vec![&a, &b]),
            ("DELETE FROM b WHERE x = $1::int[]", vec![&c]),
            ("INSERT INTO c SELECT $2, $1 RETURNING id", vec![&a, &b]),
        ];
        let (sql, parameters) = changes(parts).unwrap();
        assert_eq!(
            sql,
            "WITH part0 AS (\nUPDATE a SET x = $1, y = $2)\n, part1 AS (\nDELETE FROM b WHERE x = $3::int[])\n\
             INSERT INTO c SELECT $5, $4 RETURNING id\n"
        );
        assert_eq!(parameters.len(), 5);
    }

    #[test]
    fn one_statement_stays_as_it_is() {
        let (sql, parameters) = changes(vec![("DELETE FROM a", vec![])]).unwrap();
        assert_eq!((sql.as_str(), parameters.len()), ("DELETE FROM a\n", 0));
        assert!(changes(Vec::new()).is_none());
    }

    #[test]
    fn queries_are_put_together_between_head_and_tail() {
        let (a, b) = (1_i32, 2_i32);
        let parts: Vec<Part<'_>> = vec![("SELECT $1", vec![&a]), ("SELECT $1 + 1", vec![&b])];
        let (sql, parameters) = union("SELECT * FROM (\n", parts, ") t").unwrap();
        assert_eq!(sql, "SELECT * FROM (\n(\nSELECT $1)\nUNION ALL (\nSELECT $2 + 1)\n) t");
        assert_eq!(parameters.len(), 2);
    }
}
