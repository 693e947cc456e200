//! Reading a `.env` file: every line that can be used, and every line that cannot with its number.
//!
//! A `$` is an ordinary character, as it was for the original: a password may contain one, and the
//! stream id `$` is one. The text of a refused line never leaves this file, for it may be a secret.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, Read};

use crate::definition::definition;
use crate::{Problem, Warning};

const LINE: &str = "NAME=value, with quotes around a value that contains spaces, quotes or backslashes";

/// What a file holds.
#[derive(Default)]
pub(crate) struct File {
    pub(crate) values: BTreeMap<String, String>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Warning>,
}

/// Parses the text of a file that messages call `place`. The last of several values for one name wins.
pub(crate) fn parse(place: &str, text: &str) -> File {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // The parser takes a space before the end of the file for an unfinished line.
    let literal = escape_dollars(text) + "\n";
    let lines_read = Cell::new(0);
    let reader = LineByLine {
        rest: literal.as_bytes(),
        lines_read: &lines_read,
    };

    let mut file = File::default();
    for item in dotenvy::from_read_iter(reader) {
        match item {
            Ok((name, value)) => {
                if definition(&name).is_some() && file.values.contains_key(&name) {
                    let message = format!("is set again in {place}:{}; the last value holds", lines_read.get());
                    file.warnings.push(Warning::new(&name, message));
                }
                file.values.insert(name, value);
            }
            Err(dotenvy::Error::LineParse(refused, _)) => {
                let first = lines_read.get().saturating_sub(refused.lines().count().max(1)) + 1;
                file.problems.push(refused_line(place, text, first));
            }
            Err(error) => {
                file.problems
                    .push(Problem::unreadable(place.to_owned(), format!("a text file ({error})")));
            }
        }
    }
    file
}

/// Names the variable only when it is a known one: what stands before an equals sign in a line that
/// does not parse may be a piece of a key.
fn refused_line(place: &str, text: &str, number: usize) -> Problem {
    let line = text.lines().nth(number.saturating_sub(1)).unwrap_or_default();
    let name = line.split('=').next().unwrap_or_default();
    let known = definition(name.trim().trim_start_matches("export").trim());
    let place = match known {
        Some(known) => format!("{place}:{number} ({})", known.name),
        None => format!("{place}:{number}"),
    };
    Problem::unreadable(place, LINE.to_owned())
}

/// Hands out one line at each read, so that the number of the line being parsed is known.
struct LineByLine<'a> {
    rest: &'a [u8],
    lines_read: &'a Cell<usize>,
}

impl Read for LineByLine<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let line = self
            .rest
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(self.rest.len(), |end| end + 1);
        let (now, later) = self.rest.split_at(line.min(buffer.len()));
        buffer[..now.len()].copy_from_slice(now);
        self.rest = later;
        if now.ends_with(b"\n") {
            self.lines_read.set(self.lines_read.get() + 1);
        }
        Ok(now.len())
    }
}

/// Where in a line the reader stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    /// After the beginning of the line or a space, where `#` begins a comment.
    Gap,
    Text,
    Single,
    Double,
    Comment,
}

/// Puts a backslash before each `$` that the parser would otherwise replace by another variable's value.
fn escape_dollars(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    let mut at = At::Gap;
    let mut after_backslash = false;
    for c in text.chars() {
        let quoted_by_backslash = std::mem::take(&mut after_backslash);
        if c == '$' && !quoted_by_backslash && !matches!(at, At::Single | At::Comment) {
            escaped.push('\\');
        }
        escaped.push(c);
        at = match (at, c) {
            (At::Comment | At::Gap | At::Text, '\n') => At::Gap,
            (At::Comment, _) => At::Comment,
            (At::Single, '\'') | (At::Double, '"') if !quoted_by_backslash => At::Text,
            (At::Single, _) => At::Single,
            (_, '\\') if !quoted_by_backslash => {
                after_backslash = true;
                if at == At::Double { At::Double } else { At::Text }
            }
            (At::Double, _) => At::Double,
            (At::Gap, '#') if !quoted_by_backslash => At::Comment,
            (_, '\'') if !quoted_by_backslash => At::Single,
            (_, '"') if !quoted_by_backslash => At::Double,
            (_, c) if c.is_whitespace() => At::Gap,
            _ => At::Text,
        };
    }
    escaped
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn value(text: &str) -> String {
        let file = parse(".env", text);
        assert_eq!(file.problems, [], "{text}");
        file.values["NAME"].clone()
    }

    fn lines(text: &str) -> Vec<String> {
        parse(".env", text)
            .problems
            .into_iter()
            .map(|problem| problem.variable)
            .collect()
    }

    #[test]
    fn a_dollar_is_an_ordinary_character() {
        assert_eq!(value("NAME=$"), "$");
        assert_eq!(value("HOME=/x\nNAME=pa$HOME${HOME}$$"), "pa$HOME${HOME}$$");
        assert_eq!(value(r#"NAME="a $b \$c""#), "a $b $c");
        assert_eq!(value("NAME='a $b \\$c'"), "a $b \\$c");
        assert_eq!(value("# it's $5\nNAME=a$b # don't $x"), "a$b");
        assert_eq!(value("NAME=a\\$b"), "a$b");
    }

    #[test]
    fn the_usual_forms_are_understood() {
        assert_eq!(value("\u{feff}NAME=value"), "value");
        assert_eq!(value("export NAME=value\r\n"), "value");
        assert_eq!(value("NAME = spaced  "), "spaced");
        assert_eq!(value("NAME=a#b # comment"), "a#b");
        assert_eq!(value("NAME="), "");
        assert_eq!(value("NAME=\"two\nlines\""), "two\nlines");
    }

    #[test]
    fn each_line_that_does_not_parse_is_numbered_and_the_others_are_kept() {
        let text = "# comment\nPGPORT=1 2\n\nGOOD=yes\nno equals sign\n9x=1\n";
        assert_eq!(lines(text), [".env:2 (PGPORT)", ".env:5", ".env:6"]);
        assert_eq!(parse(".env", text).values["GOOD"], "yes");
        assert_eq!(lines("A=1\nPGUSER=\"open\nB=2\n\n"), [".env:2 (PGUSER)"]);
        assert_eq!(lines("A=1\nB=\"one\ntwo\" three\n"), [".env:2"]);
    }

    #[test]
    fn a_long_line_counts_once() {
        let text = format!("A={}\nbroken line\n", "x".repeat(50_000));
        assert_eq!(lines(&text), [".env:2"]);
    }

    #[test]
    fn the_last_of_two_values_holds_and_is_pointed_out() {
        let file = parse(".env", "PGPORT=1\nPGPORT=2\n");
        assert_eq!(file.values["PGPORT"], "2");
        assert_eq!(
            file.warnings[0].to_string(),
            "PGPORT: is set again in .env:2; the last value holds"
        );
    }
}
