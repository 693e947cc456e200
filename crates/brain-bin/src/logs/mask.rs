//! Secrets within text: what looks like a credential is taken out of messages and error texts, whatever field they are in.
//!
//! Invariants: what is masked is the secret alone, so that a reader still sees which credential it was; text without any is
//! passed on as it is; no text makes this slow: what was read ahead and found to be no secret is not read ahead again.
//!
//! | Looks like | Becomes |
//! | --- | --- |
//! | `brain_<id>_<secret>`, a token of ours | `brain_<id>_[redacted]` |
//! | `Bearer …`, `Basic …` | `Bearer [redacted]` |
//! | `eyJ….….…`, a JSON Web Token | `[redacted]` |
//! | `scheme://user:password@host` | `scheme://user:[redacted]@host` |
//! | `password=…`, `"token":"…"`, `x-admin-token: …` | the name and `[redacted]` |

use std::borrow::Cow;

use super::redact::{REDACTED, is_secret};

/// Characters of an id of ours, and the fewest of a secret that is worth hiding: the rest of it may have been cut off.
const ID_CHARS: usize = 16;
const LEAST_SECRET: usize = 8;
/// The longest name that is looked for before `=` or `:`.
const MAX_NAME: usize = 64;
/// What ends a value in running text.
const ENDS: [char; 12] = ['"', '\'', '`', ',', ';', '&', ')', ']', '}', '<', '>', '|'];

/// The text without what looks like a credential.
pub(super) fn masked(text: &str) -> Cow<'_, str> {
    let mut shown = String::new();
    let (mut copied, mut at) = (0, 0);
    let mut ahead = Ahead::default();
    while at < text.len() {
        match secret_at(text, at, &mut ahead) {
            Some((from, to)) if from < to => {
                shown.push_str(&text[copied..from]);
                shown.push_str(REDACTED);
                (copied, at) = (to, to);
            }
            _ => at += text[at..].chars().next().map_or(1, char::len_utf8),
        }
    }
    if copied == 0 && shown.is_empty() {
        return Cow::Borrowed(text);
    }
    shown.push_str(&text[copied..]);
    Cow::Owned(shown)
}

/// What was seen of the text further on.
#[derive(Default)]
struct Ahead {
    /// Before this, no web token ends that has not been found.
    no_web_token: usize,
    /// Where the word ends in which the last URL stands, and its last `@`.
    url: (usize, Option<usize>),
}

/// Where a secret stands that is announced by what begins at `at`.
fn secret_at(text: &str, at: usize, ahead: &mut Ahead) -> Option<(usize, usize)> {
    let rest = &text[at..];
    match rest.as_bytes().first()? {
        b'b' if rest.starts_with("brain_") => own_token(text, at),
        b'b' | b'B' => scheme(text, at, "bearer").or_else(|| scheme(text, at, "basic")),
        b'e' if rest.starts_with("eyJ") => web_token(text, at, ahead),
        b':' if rest.starts_with("://") => password_of_url(text, at + 3, ahead).or_else(|| named(text, at)),
        b'=' | b':' => named(text, at),
        _ => None,
    }
}

fn own_token(text: &str, at: usize) -> Option<(usize, usize)> {
    let hex = |from: usize| run(text, from, |c| c.is_ascii_hexdigit());
    let id = at + "brain_".len();
    let end = hex(id);
    if end - id != ID_CHARS || !text[end..].starts_with('_') {
        return None;
    }
    let secret = end + 1;
    let end = hex(secret);
    (end - secret >= LEAST_SECRET).then_some((secret, end))
}

/// What follows the name of an authentication scheme. In prose a short word follows.
fn scheme(text: &str, at: usize, name: &str) -> Option<(usize, usize)> {
    let begins = text.get(at..at + name.len())?.eq_ignore_ascii_case(name);
    let within_word = text[..at].chars().next_back().is_some_and(char::is_alphanumeric);
    let gap = at + name.len();
    let from = run(text, gap, |c| c == ' ' || c == '\t');
    if !begins || within_word || from == gap || text[from..].starts_with(REDACTED) {
        return None;
    }
    let to = value_end(text, from);
    let word = text[from..to].trim_end_matches(['.', ':', '!', '?']);
    let prose = word.len() < LEAST_SECRET && word.chars().all(|c| c.is_ascii_lowercase());
    (!prose).then_some((from, to))
}

fn web_token(text: &str, at: usize, ahead: &mut Ahead) -> Option<(usize, usize)> {
    if at < ahead.no_web_token {
        return None;
    }
    let to = run(text, at, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if text[at..to].split('.').filter(|part| part.len() > 3).count() >= 2 {
        return Some((at, to));
    }
    // What begins further on in the same word has fewer parts still.
    ahead.no_web_token = to;
    None
}

/// The password in `user:password@host`; `from` is where that begins. A password that holds a `/` is found too.
fn password_of_url(text: &str, from: usize, ahead: &mut Ahead) -> Option<(usize, usize)> {
    if from >= ahead.url.0 {
        let whole = run(text, from, |c| {
            !c.is_whitespace() && !matches!(c, '"' | '\'' | '`' | '<' | '>')
        });
        ahead.url = (whole, text[from..whole].rfind('@').map(|last| from + last));
    }
    let authority = run(text, from, |c| {
        !c.is_whitespace() && !matches!(c, '"' | '\'' | '`' | '<' | '>' | '/' | '?' | '#')
    });
    let colon = from + text[from..authority].find(':')?;
    let port = text[colon + 1..authority].chars().all(|c| c.is_ascii_digit());
    if port {
        return None;
    }
    // Up to the last one: rather too much is hidden than the end of a password that should have been escaped.
    let end = ahead.url.1?;
    (colon + 1 < end).then_some((colon + 1, end))
}

/// The value after a name that says that it is secret: `name=value`, `"name": "value"`, `name: "value"`, `x-name: value`.
fn named(text: &str, at: usize) -> Option<(usize, usize)> {
    let before = text[..at].trim_end_matches([' ', '"', '\'', '\\']);
    let quoted = text[before.len()..at].contains(['"', '\'']);
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let mut begin = before.len();
    for (place, c) in before.char_indices().rev().take(MAX_NAME) {
        if !is_name(c) {
            break;
        }
        begin = place;
    }
    let name = &before[begin..];
    let header =
        name.contains('-') || name.eq_ignore_ascii_case("authorization") || name.eq_ignore_ascii_case("cookie");
    let assigned = text[at..].starts_with('=') && before.len() == at;
    let value = run(text, at + 1, |c| c == ' ');
    let quote = Quote::at(text, run(text, at + 1, char::is_whitespace));
    if name.is_empty() || !(quoted || header || assigned || quote.is_some()) || !is_secret(name) {
        return None;
    }
    let scheme = |from: usize| {
        let schemes = ["bearer ", "basic "];
        let begins = |scheme: &&&str| {
            let start = text.get(from..from + scheme.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        };
        schemes.iter().find(begins).map(|scheme| scheme.len())
    };
    let Some(quote) = quote else {
        // The scheme stays: what follows it is masked when its turn comes.
        if scheme(value).is_some() || text[value..].starts_with(REDACTED) {
            return None;
        }
        let to = value_end(text, value);
        return (value < to).then_some((value, to));
    };
    let from = quote.from + scheme(quote.from).unwrap_or(0);
    let to = quote.end(text);
    (from < to && &text[from..to] != REDACTED).then_some((from, to))
}

/// The quote before a value, which may lie in text that is quoted itself, and so on.
struct Quote {
    mark: char,
    /// Backslashes before it.
    depth: usize,
    /// Where the value begins.
    from: usize,
}

impl Quote {
    /// One that stands here, or within the `Some(…)` that programs print.
    fn at(text: &str, at: usize) -> Option<Self> {
        let at = at + text[at..].strip_prefix("Some(").map_or(0, |_| "Some(".len());
        let place = run(text, at, |c| c == '\\');
        let mark = text[place..].chars().next().filter(|c| matches!(c, '"' | '\''))?;
        Some(Self {
            mark,
            depth: place - at,
            from: place + 1,
        })
    }

    /// Where the value ends: at the next such quote that is not of the value itself, or with the text.
    fn end(&self, text: &str) -> usize {
        let mut slashes = 0;
        for (place, c) in text[self.from..].char_indices() {
            if c == '\\' {
                slashes += 1;
                continue;
            }
            // Each level of quoting doubles the backslashes of what it holds and adds one to its quotes.
            let ends = slashes < self.depth || (slashes - self.depth).is_multiple_of(2 * (self.depth + 1));
            if c == self.mark && ends {
                return self.from + place - slashes.min(self.depth);
            }
            slashes = 0;
        }
        text.len()
    }
}

fn value_end(text: &str, from: usize) -> usize {
    run(text, from, |c| !c.is_whitespace() && !ENDS.contains(&c))
}

/// Where the characters end that are like this.
fn run(text: &str, from: usize, like: impl Fn(char) -> bool) -> usize {
    let rest = &text[from..];
    from + rest.find(|c| !like(c)).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token() -> String {
        format!("brain_{}_{}", "0123456789abcdef", "fe".repeat(32))
    }

    #[test]
    fn the_secret_goes_and_the_rest_stays() {
        let token = token();
        let cases = [
            (token.clone(), "brain_0123456789abcdef_[redacted]".to_owned()),
            (
                format!("no task {token}!"),
                "no task brain_0123456789abcdef_[redacted]!".to_owned(),
            ),
            (
                "Authorization: Bearer abc.def".into(),
                "Authorization: Bearer [redacted]".into(),
            ),
            (
                "{\"authorization\": \"bearer s3cr3t\"}".into(),
                "{\"authorization\": \"bearer [redacted]\"}".into(),
            ),
            (
                "Basic dXNlcjpwYXNz and so on".into(),
                "Basic [redacted] and so on".into(),
            ),
            (
                "sent eyJhbGciOi.eyJzdWIi.c2ln today".into(),
                "sent [redacted] today".into(),
            ),
            (
                "redis://:pw@h:6379/0 is away".into(),
                "redis://:[redacted]@h:6379/0 is away".into(),
            ),
            (
                "(postgres://me:p@ss/w:rd@db/x)".into(),
                "(postgres://me:[redacted]@db/x)".into(),
            ),
            (
                "host=db password=hunter2 user=me".into(),
                "host=db password=[redacted] user=me".into(),
            ),
            (
                "{\"password\":\"hunter2\",\"a\":1}".into(),
                "{\"password\":\"[redacted]\",\"a\":1}".into(),
            ),
            (
                "\\\"token\\\":\\\"hunter2\\\"".into(),
                "\\\"token\\\":\\\"[redacted]\\\"".into(),
            ),
            (
                r#"{"password":"correct horse, battery; staple","a":1}"#.into(),
                r#"{"password":"[redacted]","a":1}"#.into(),
            ),
            (
                r#"{"password":"a \"quoted\" word\\","a":1}"#.into(),
                r#"{"password":"[redacted]","a":1}"#.into(),
            ),
            (
                r#""{\"password\":\"a \\\"quoted\\\" word\\\\\",\"a\":1}""#.into(),
                r#""{\"password\":\"[redacted]\",\"a\":1}""#.into(),
            ),
            (
                r#"body "{\"password\":\"cut o" and more"#.into(),
                r#"body "{\"password\":\"[redacted]" and more"#.into(),
            ),
            (
                r#"Login { user: "me", password: "correct horse", key: Some("a b"), at: "home" }"#.into(),
                r#"Login { user: "me", password: "[redacted]", key: Some("[redacted]"), at: "home" }"#.into(),
            ),
            (
                r#"{"authorization": "Basic a b", "a": 1}"#.into(),
                r#"{"authorization": "Basic [redacted]", "a": 1}"#.into(),
            ),
            (
                r#"password="two words" a=1"#.into(),
                r#"password="[redacted]" a=1"#.into(),
            ),
            (
                "{\"password\":\n\t\"two words\"}".into(),
                "{\"password\":\n\t\"[redacted]\"}".into(),
            ),
            (
                "password='correct horse' a=1".into(),
                "password='[redacted]' a=1".into(),
            ),
            ("password=\"cut off".into(), "password=\"[redacted]".into()),
            (
                "x-studio-brain-admin-token: hunter2".into(),
                "x-studio-brain-admin-token: [redacted]".into(),
            ),
            (
                "https://h/o?X-Amz-Credential=AK%2F1&b=2".into(),
                "https://h/o?X-Amz-Credential=[redacted]&b=2".into(),
            ),
            (
                "https://h/o?X-Amz-Signature=ab12&b=2".into(),
                "https://h/o?X-Amz-Signature=[redacted]&b=2".into(),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(masked(&text), expected);
            assert_eq!(masked(&expected), expected, "once is enough");
        }
    }

    #[test]
    fn what_holds_no_secret_stays_as_it_is() {
        for text in [
            "",
            "Authorization must be Bearer and a token",
            "basic rules: none",
            "brain_0123456789abcdef",
            "http://127.0.0.1:8787/api/swarm/tasks/t-1?a=b@c",
            "the token: it has expired",
            "Key (event_id)=(e-1) already exists",
            "fencing_token=3",
            "a = b, c: d, é: ü ://:@",
            "DETAIL: key=",
        ] {
            assert!(
                matches!(masked(text), Cow::Borrowed(same) if same == text),
                "{text}: {}",
                masked(text)
            );
        }
    }

    /// Where each place of these is read to the end of the text, this does not end in time.
    #[test]
    fn no_text_is_read_again_and_again() {
        for part in [
            "eyJ",
            "://",
            "://a:b",
            "://a:b@",
            "://a:@ ",
            "password=\"",
            "\"token\":",
            "key: Some(",
            "key=\\",
            "bearer ",
            "brain_",
            "brain_0123456789abcdef_",
            "=\"",
        ] {
            let text = part.repeat((1 << 20) / part.len());
            assert!(
                masked(&text).len() <= text.len() + text.len() / part.len() * REDACTED.len(),
                "{part}"
            );
        }
    }

    proptest! {
        /// Whatever stands around it.
        #[test]
        fn a_token_is_never_shown(before in "[^a-fA-F0-9_]{0,40}", after in "([^a-fA-F0-9].{0,40})?") {
            let text = format!("{before}{}{after}", token());
            prop_assert!(!masked(&text).contains("fefefefe"), "{text}");
        }

        #[test]
        fn a_bearer_is_never_shown(before in "(.{0,40}[ \"':])?", secret in "[A-Za-z0-9._~+/-]{8,40}") {
            let shown = masked(&format!("{before}Bearer {secret}")).into_owned();
            prop_assert!(!shown.ends_with(&secret), "{shown}");
        }

        #[test]
        fn a_quoted_secret_is_never_shown(secret in "[a-z ,;\\\\\"'&\\]\\[(){}]{0,40}", outer in 0..3) {
            let mut text = serde_json::json!({ "password": format!("{secret}HIDDEN"), "a": "shown" }).to_string();
            for _ in 0..outer {
                text = serde_json::json!(text).to_string();
            }
            let shown = masked(&text);
            prop_assert!(!shown.contains("HIDDEN") && shown.contains("shown"), "{shown}");
            prop_assert_eq!(masked(&shown), shown.as_ref());
        }

        #[test]
        fn any_text_can_be_read(text in "\\PC{0,200}") {
            let _ = masked(&text);
        }
    }
}
