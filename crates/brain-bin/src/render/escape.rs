//! Foreign text made harmless: nothing that a terminal obeys, nothing that reorders what a person reads or hides from them.

use std::borrow::Cow;

use brain_swarm::foreign_text::is_active;

/// The text with control characters, line breaks among them, bidirectional overrides and what is not drawn written as escapes.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_active) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_active(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// The escaped text on one line of at most `max` characters; what is cut off is marked.
pub(crate) fn shortened(text: &str, max: usize) -> String {
    let shown = escaped(text);
    match shown.char_indices().nth(max) {
        None => shown.into_owned(),
        Some(_) => shown.chars().take(max.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// JSON leaves U+007F to U+009F as they are, and some terminals obey them. They only occur within texts, where an
/// escape means the same.
pub(crate) fn c1_in_json(json: &str) -> Cow<'_, str> {
    let is_c1 = |c: char| ('\u{7f}'..='\u{9f}').contains(&c);
    if !json.contains(is_c1) {
        return Cow::Borrowed(json);
    }
    json.chars()
        .map(|c| {
            if is_c1(c) {
                format!("\\u{:04x}", u32::from(c))
            } else {
                c.to_string()
            }
        })
        .collect::<String>()
        .into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_text_is_left_alone() {
        assert!(matches!(escaped("Grüße, 世界 🙂"), Cow::Borrowed(_)));
        assert_eq!(escaped("a\nb\u{1b}[31m\u{202e}"), "a\\nb\\u{1b}[31m\\u{202e}");
        assert_eq!(escaped("pay\u{200b} 1\u{e0030}"), "pay\\u{200b} 1\\u{e0030}");
        assert_eq!(
            escaped("a\u{61c}\u{200d}\u{180e}\u{fffa}"),
            "a\\u{61c}\\u{200d}\\u{180e}\\u{fffa}"
        );
        assert_eq!(shortened("abcdef", 6), "abcdef");
        assert_eq!(shortened("abcdefg", 6), "abcde…");
    }

    proptest! {
        #[test]
        fn nothing_active_is_left(text in any::<String>(), max in 1..40_usize) {
            prop_assert!(!escaped(&text).contains(is_active));
            prop_assert!(shortened(&text, max).chars().count() <= max);
        }

        #[test]
        fn json_keeps_its_meaning(text in "[\\x00-\\u{ff}]{0,40}") {
            let json = serde_json::to_string(&text).unwrap();
            let shown = c1_in_json(&json);
            prop_assert!(!shown.contains(char::is_control));
            prop_assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
        }
    }
}
