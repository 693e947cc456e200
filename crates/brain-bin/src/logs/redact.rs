//! Which fields of a log line hold a secret, judged by their names.

/// What stands in the place of a secret.
pub(super) const REDACTED: &str = "[redacted]";

/// A word that ends like one of these, in the singular or the plural, names a secret. `monkey` is the price.
const SECRET_WORDS: [&str; 9] = [
    "password",
    "passwd",
    "token",
    "secret",
    "authorization",
    "key",
    "cookie",
    "credential",
    "signature",
];

/// Names that end in a secret word but are known to hold none.
const HARMLESS: [[&str; 2]; 4] = [
    ["fencing", "token"],
    ["artifact", "key"],
    ["object", "key"],
    ["require", "signature"],
];

/// Whether a field of this name must not be shown: `password`, `admin_token`, `http.authorization`, `secretKey`.
pub(super) fn is_secret(name: &str) -> bool {
    let words = words(name);
    words.iter().enumerate().any(|(at, word)| {
        let before = at.checked_sub(1).map(|before| words[before].as_str());
        let harmless = HARMLESS
            .iter()
            .any(|[first, last]| before == Some(first) && word == last);
        !harmless
            && SECRET_WORDS
                .iter()
                .any(|secret| word.trim_end_matches('s').ends_with(secret))
    })
}

/// The words of `camelCase`, `snake_case` and `dotted.names`, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut lower_before = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && lower_before) {
            words.push(String::new());
        }
        lower_before = c.is_lowercase() || c.is_numeric();
        if let Some(word) = words.last_mut()
            && c.is_alphanumeric()
        {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_recognised_in_every_spelling() {
        for name in [
            "password",
            "PGPASSWORD",
            "admin_token",
            "http.authorization",
            "secretKey",
            "access-key",
            "tokens",
            "x-studio-brain-admin-token",
            "token.fencing",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in [
            "message",
            "task.id",
            "keyspace",
            "fencing_token",
            "lease.fencing.token",
            "STUDIO_BRAIN_SKILL_REQUIRE_SIGNATURE",
            "duration_ms",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
