//! Text of programs, made harmless for terminals and logs.
//!
//! Invariant: what comes out has no control character but, where asked for, line feeds and tabs, and nothing that reorders
//! or hides text.

/// One line of at most this many bytes: everything that is not plainly visible is escaped.
#[must_use]
pub fn escaped_line(text: &str, limit: usize) -> String {
    escape(text, limit, false)
}

/// Text of at most this many bytes, in which line feeds and tabs stay.
#[must_use]
pub fn escaped(text: &str, limit: usize) -> String {
    escape(text, limit, true)
}

fn escape(text: &str, limit: usize, lines: bool) -> String {
    let mut out = String::with_capacity(text.len().min(limit));
    for char in text.chars() {
        let before = out.len();
        match char {
            '\n' | '\t' if lines => out.push(char),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            char if is_hidden(char) => out.extend(char.escape_unicode()),
            char => out.push(char),
        }
        if out.len() > limit {
            out.truncate(before);
            out.push('…');
            break;
        }
    }
    out
}

/// Control characters of both sets; what directs, joins, or has no width; tags, which spell hidden text.
fn is_hidden(char: char) -> bool {
    char.is_control()
        || matches!(
            char,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn terminals_get_nothing_to_act_on() {
        assert_eq!(
            escaped_line("a\x1b[2J\r\nb\u{9b}c\u{202e}d\0", 99),
            "a\\u{1b}[2J\\r\\nb\\u{9b}c\\u{202e}d\\u{0}"
        );
        assert_eq!(escaped("a\n\tb\u{7f}", 99), "a\n\tb\\u{7f}");
        assert_eq!(escaped_line("Grüße 🎈", 99), "Grüße 🎈");
        assert_eq!(escaped_line("äöü", 4), "äö…");
        assert_eq!(escaped_line("a\x1b", 3), "a…");
    }

    proptest! {
        #[test]
        fn whatever_comes_in(text in any::<String>(), limit in 0_usize..200) {
            let line = escaped_line(&text, limit);
            prop_assert!(!line.contains(char::is_control));
            prop_assert!(line.len() <= limit + '…'.len_utf8());
            prop_assert!(!escaped(&text, limit).contains(|char: char| char.is_control() && char != '\n' && char != '\t'));
        }
    }
}
