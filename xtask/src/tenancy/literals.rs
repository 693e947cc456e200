//! The string literals of a Rust file, with the line on which each begins.
//!
//! Invariant: a comment holds no literal, and neither does a character nor a lifetime.

/// Every string literal, without its quotes; escapes stay as they are, but a line break that is escaped goes.
pub(super) fn of(source: &str) -> Vec<(usize, String)> {
    let chars: Vec<char> = source.chars().collect();
    let mut found = Vec::new();
    let mut line = 1;
    let mut at = 0;
    while at < chars.len() {
        let (end, literal) = step(&chars, at);
        found.extend(literal.map(|text| (line, text)));
        line += chars[at..end].iter().filter(|c| **c == '\n').count();
        at = end;
    }
    found
}

/// Where what begins at `at` ends, and its text if it is a string.
fn step(chars: &[char], at: usize) -> (usize, Option<String>) {
    let next = chars.get(at + 1).copied();
    match (chars[at], next) {
        ('/', Some('/')) => (find(chars, at, |rest| rest[0] == '\n'), None),
        ('/', Some('*')) => (after_comment(chars, at), None),
        ('"', _) => {
            let end = after_string(chars, at + 1);
            (end, Some(text(&chars[at + 1..end.saturating_sub(1).max(at + 1)])))
        }
        ('r', Some('"' | '#')) if !is_name(chars, at) => raw(chars, at),
        // A character, unless it is a lifetime or a label.
        ('\'', Some('\\')) => ((find(chars, at + 3, |rest| rest[0] == '\'') + 1).min(chars.len()), None),
        ('\'', Some(_)) if chars.get(at + 2) == Some(&'\'') => (at + 3, None),
        _ => (at + 1, None),
    }
}

/// The first place from `at` on that is wanted, or the end.
fn find(chars: &[char], at: usize, wanted: impl Fn(&[char]) -> bool) -> usize {
    (at..chars.len())
        .find(|at| wanted(&chars[*at..]))
        .unwrap_or(chars.len())
}

fn after_comment(chars: &[char], at: usize) -> usize {
    let mut depth = 0;
    let mut at = at;
    while at < chars.len() {
        if chars[at..].starts_with(&['/', '*']) {
            depth += 1;
            at += 2;
        } else if chars[at..].starts_with(&['*', '/']) {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    at
}

fn after_string(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

fn text(inside: &[char]) -> String {
    inside.iter().collect::<String>().replace("\\\n", "\n")
}

/// `r"…"`, `r#"…"#` and so on; a raw name such as `r#type` is none.
fn raw(chars: &[char], at: usize) -> (usize, Option<String>) {
    let marks = chars[at + 1..].iter().take_while(|c| **c == '#').count();
    let begin = at + 1 + marks + 1;
    if chars.get(begin - 1) != Some(&'"') {
        return (at + 1, None);
    }
    let mut close = vec!['"'];
    close.extend(std::iter::repeat_n('#', marks));
    let end = find(chars, begin, |rest| rest.starts_with(&close));
    (
        end + close.len().min(chars.len() - end),
        Some(chars[begin..end].iter().collect()),
    )
}

/// Whether the character at `at` goes on a name, as the `r` of `for`; `br` and `cr` are strings too.
fn is_name(chars: &[char], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).map(|at| chars[at]);
    let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let prefix = matches!(before(1), Some('b' | 'c')) && !word(before(2));
    word(before(1)) && !prefix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_found_where_they_are() {
        let source = r####"
            // "no" 'x "no
            /* "no /* "no" */ */
            let a = "one \" two"; let b = '"'; let c: &'static str = "three";
            let d = r#"four "five" "#; let e = '\''; let f = br"six\"; for "seven\
                eight"
        "####;
        let found: Vec<String> = of(source)
            .iter()
            .map(|(line, text)| format!("{line}: {text:?}"))
            .collect();
        insta::assert_snapshot!(found.join("\n"), @r#"
        4: "one \\\" two"
        4: "three"
        5: "four \"five\" "
        5: "six\\"
        5: "seven\n                eight"
        "#);
    }

    #[test]
    fn what_does_not_end_does_no_harm() {
        for source in ["\"", "r#\"x", "'", "/*", "'\\", "\"\\"] {
            let _ = of(source);
        }
    }
}
