//! Text that somebody else wrote, on its way to a person.
//!
//! Invariant: there is one list of the characters that act on a text instead of being seen in it, whatever shows the text.

/// Whether a character is obeyed rather than seen: control characters, line breaks and tabs among them, whatever turns text
/// round or breaks its lines, and whatever nothing is drawn for, so that what somebody approves could say more than they see.
#[must_use]
pub fn is_active(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let hides = matches!(c, '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{feff}');
    // What is between them is shown elsewhere or not at all; tags are letters that nobody sees.
    let annotates = matches!(c, '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    c.is_control() || turns || hides || annotates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_is_told_from_what_acts() {
        let active = [
            "\0\t\n\r\u{1b}\u{7f}\u{9b}",
            "\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}",
            "\u{ad}\u{180e}\u{200b}\u{200c}\u{200d}\u{2060}\u{2065}\u{feff}",
            "\u{fff9}\u{fffa}\u{fffb}\u{e0000}\u{e0041}\u{e007f}",
        ];
        for c in active.concat().chars() {
            assert!(is_active(c), "{c:?}");
        }
        for c in "aZ09 \u{a0}Grüße, 世界 🙂 العربية עברית ᠠ\u{fffc}\u{fffd}".chars() {
            assert!(!is_active(c), "{c:?}");
        }
    }
}
