//! Query parameters, read strictly.
//!
//! Invariant: a parameter that a route does not know, or that comes twice, is refused. A filter that is misspelt would
//! otherwise be a filter that is not there.

use std::{borrow::Cow, fmt::Display, str::FromStr};

use percent_encoding::percent_decode_str;

use crate::problem::{Kind, Problem, shortened};

/// The items of a page, when the caller does not say.
pub(crate) const DEFAULT_LIMIT: usize = 100;
/// The most items of a page.
pub(crate) const MAX_LIMIT: usize = 500;

/// The parameters of a request, all of them known to its route.
#[derive(Debug)]
pub(crate) struct Query<'a> {
    given: Vec<(&'static str, Cow<'a, str>)>,
}

impl<'a> Query<'a> {
    /// Reads the query part of a URL.
    ///
    /// # Errors
    /// A problem that names the parameter, and those that the route knows.
    pub(crate) fn parse(query: Option<&'a str>, known: &'static [&'static str]) -> Result<Self, Problem> {
        let mut given: Vec<(&'static str, Cow<'a, str>)> = Vec::new();
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decoded(name)?, decoded(value)?);
            let Some(name) = known.iter().find(|known| **known == name) else {
                return Err(unknown(&name, known));
            };
            if given.iter().any(|(other, _)| other == name) {
                return Err(invalid(name, "it is given twice"));
            }
            given.push((name, value));
        }
        Ok(Self { given })
    }

    /// The text of a parameter, if it is given.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.given
            .iter()
            .find(|(given, _)| *given == name)
            .map(|(_, value)| value.as_ref())
    }

    /// A parameter that is read as something, if it is given.
    ///
    /// # Errors
    /// A problem that names the parameter and what is wrong with it.
    pub(crate) fn get<T>(&self, name: &'static str) -> Result<Option<T>, Problem>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.text(name)
            .map(str::parse)
            .transpose()
            .map_err(|error: T::Err| invalid(name, &error.to_string()))
    }

    /// A parameter that is one of a few words, if it is given.
    ///
    /// # Errors
    /// A problem that names the parameter and the words.
    pub(crate) fn one_of<T: Copy>(&self, name: &'static str, words: &[(&str, T)]) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => Ok(Some(*value)),
            None => {
                let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                Err(invalid(name, &format!("it must be one of {}", words.join(", "))))
            }
        }
    }

    /// How many items the page is to have, at most.
    ///
    /// # Errors
    /// A problem that names the bounds.
    pub(crate) fn limit(&self) -> Result<usize, Problem> {
        match self.text("limit").map(str::parse) {
            None => Ok(DEFAULT_LIMIT),
            Some(Ok(limit)) if (1..=MAX_LIMIT).contains(&limit) => Ok(limit),
            Some(_) => Err(invalid("limit", &format!("it must be a number from 1 to {MAX_LIMIT}"))),
        }
    }
}

/// A parameter that is there and wrong.
pub(crate) fn invalid(name: &str, problem: &str) -> Problem {
    Problem::new(
        Kind::InvalidParameter,
        format!("parameter {name}: {}", shortened(problem)),
    )
}

fn unknown(name: &str, known: &[&str]) -> Problem {
    let known = if known.is_empty() {
        "it takes none".to_owned()
    } else {
        format!("it knows {}", known.join(", "))
    };
    let name = shortened(name);
    Problem::new(
        Kind::InvalidParameter,
        format!("parameter {name:?} is unknown to this route; {known}"),
    )
}

/// A name or a value as browsers write it: `+` for a space, `%` and two digits for any byte, UTF-8.
fn decoded(text: &str) -> Result<Cow<'_, str>, Problem> {
    let wrong = |what| Err(Problem::new(Kind::InvalidParameter, what));
    if !text.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return Ok(Cow::Borrowed(text));
    }
    let escapes = text.split('%').skip(1);
    if escapes.into_iter().any(|after| {
        !after
            .as_bytes()
            .get(..2)
            .is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
    }) {
        return wrong("the query has a % that is not followed by two hexadecimal digits");
    }
    let spaced = text.replace('+', " ");
    match percent_decode_str(&spaced).decode_utf8() {
        Ok(decoded) => Ok(Cow::Owned(decoded.into_owned())),
        Err(_) => wrong("the query is not UTF-8 once its escapes are decoded"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    const KNOWN: &[&str] = &["swarmId", "status", "limit"];

    fn problem(query: &str) -> String {
        match Query::parse(Some(query), KNOWN) {
            Ok(query) => query.limit().unwrap_err().to_string(),
            Err(problem) => problem.to_string(),
        }
    }

    #[test]
    fn reads_what_browsers_write() {
        let query = Query::parse(Some("swarmId=a%20b+c%2Bd&&limit=5&status="), KNOWN).unwrap();
        assert_eq!(query.text("swarmId"), Some("a b c+d"));
        assert_eq!(query.text("status"), Some(""));
        assert_eq!(query.limit().unwrap(), 5);
        assert_eq!(Query::parse(None, KNOWN).unwrap().limit().unwrap(), DEFAULT_LIMIT);
    }

    #[test]
    fn names_what_is_wrong() {
        insta::assert_snapshot!(problem("swarmid=x"), @r#"Invalid parameter: parameter "swarmid" is unknown to this route; it knows swarmId, status, limit"#);
        insta::assert_snapshot!(problem("limit=1&limit=2"), @"Invalid parameter: parameter limit: it is given twice");
        insta::assert_snapshot!(problem("limit=501"), @"Invalid parameter: parameter limit: it must be a number from 1 to 500");
        insta::assert_snapshot!(problem("limit=%zz"), @"Invalid parameter: the query has a % that is not followed by two hexadecimal digits");
        insta::assert_snapshot!(problem("limit=%ff"), @"Invalid parameter: the query is not UTF-8 once its escapes are decoded");
        insta::assert_snapshot!(Query::parse(Some("x=1"), &[]).unwrap_err(), @r#"Invalid parameter: parameter "x" is unknown to this route; it takes none"#);
        let query = Query::parse(Some("status=gone"), KNOWN).unwrap();
        insta::assert_snapshot!(query.one_of("status", &[("live", true), ("lost", false)]).unwrap_err(), @"Invalid parameter: parameter status: it must be one of live, lost");
        insta::assert_snapshot!(query.get::<u32>("status").unwrap_err(), @"Invalid parameter: parameter status: invalid digit found in string");
    }

    proptest! {
        #[test]
        fn foreign_text_never_panics(text in "\\PC*") {
            let _ = Query::parse(Some(&text), KNOWN);
        }

        #[test]
        fn any_text_survives_encoding(text in "\\PC*") {
            let encoded = percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC).to_string();
            let pair = format!("status={encoded}");
            let query = Query::parse(Some(&pair), KNOWN).unwrap();
            prop_assert_eq!(query.text("status"), Some(text.as_str()));
        }
    }
}
