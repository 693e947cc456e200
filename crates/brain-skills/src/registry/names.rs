//! Names in a registry: of publishers, of targets, and the patterns by which publishers own targets.
//!
//! Invariants: a publisher's name is safe as one part of a path; a skill has exactly one target name and back; `*`
//! never crosses a `/`.

use crate::reference::SkillRef;

/// Where the list of what was revoked is; no publisher can own it, for it has no second part.
pub(super) const REVOKED: &str = "revoked.json";

/// Whether a name can be a publisher's.
pub(super) fn is_role(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let edges = [name.bytes().next(), name.bytes().next_back()];
    name.len() <= 64
        && edges.into_iter().all(|edge| edge.is_some_and(plain))
        && name.bytes().all(|byte| plain(byte) || matches!(byte, b'-' | b'_'))
        && !super::metadata::TOP_LEVEL.contains(&name)
}

/// The target of a skill.
pub(super) fn target(skill: &SkillRef) -> String {
    format!("{}/{}.tar.gz", skill.name(), skill.version())
}

/// The skill of a target, unless the target is none.
pub(super) fn skill(target: &str) -> Option<SkillRef> {
    let (name, file) = target.split_once('/')?;
    format!("{name}@{}", file.strip_suffix(".tar.gz")?).parse().ok()
}

/// The target's file under the repository: consistent snapshots put the digest before the name.
pub(super) fn stored(target: &str, sha256: &str) -> String {
    match target.rsplit_once('/') {
        Some((folder, file)) => format!("targets/{folder}/{sha256}.{file}"),
        None => format!("targets/{sha256}.{target}"),
    }
}

/// A pattern of TUF: like a shell's, part by part.
pub(super) struct Pattern;

impl Pattern {
    /// Whether the whole target matches; `*` and `?` stand for anything but `/`, every other character for itself.
    ///
    /// Sets in brackets, which python-tuf knows, match nothing here: they could only give a publisher less.
    pub(super) fn matches(pattern: &str, target: &str) -> bool {
        if pattern.len() > 256 || pattern.contains(['[', ']']) {
            return false;
        }
        let (patterns, parts): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), target.split('/').collect());
        patterns.len() == parts.len()
            && patterns
                .iter()
                .zip(parts)
                .all(|(pattern, part)| part_matches(pattern, part))
    }

    /// The pattern for all versions of the names that a glob such as `acme-*` matches.
    pub(super) fn of_names(names: &str) -> Option<String> {
        let known = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.' | b'*' | b'?')
        };
        let sound = !names.is_empty() && names.len() <= 64 && names.bytes().all(known);
        sound.then(|| format!("{names}/*"))
    }
}

fn part_matches(pattern: &str, part: &str) -> bool {
    let (pattern, part) = (pattern.as_bytes(), part.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to go on when a later character does not fit: after the last star, one character further.
    let mut star = None;
    while t < part.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == part[t] => (p, t) = (p + 1, t + 1),
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                (p, t) = (at + 1, taken + 1);
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn stars_stay_within_one_part() {
        for (pattern, target, expected) in [
            ("acme-*/*", "acme-mail/1.0.0.tar.gz", true),
            ("acme-*/*", "acme-/x", true),
            ("acme-*/*", "acme/1.0.0.tar.gz", false),
            ("acme-*/*", "acme-mail/x/y", false),
            ("acme-*/*", "evil-acme-mail/x", false),
            ("*", "revoked.json", true),
            ("*/*", "revoked.json", false),
            ("a*b*c/?", "aXbbYc/z", true),
            ("a*b*c/?", "aXbbYd/z", false),
            ("[a]/*", "a/x", false),
        ] {
            assert_eq!(Pattern::matches(pattern, target), expected, "{pattern} {target}");
        }
        let hostile = "*a".repeat(100);
        assert!(!Pattern::matches(&hostile, &"a".repeat(99)));
    }

    #[test]
    fn a_skill_has_one_target_and_back() {
        let reference: SkillRef = "acme-mail@1.0.0-rc.1+b".parse().unwrap();
        assert_eq!(target(&reference), "acme-mail/1.0.0-rc.1+b.tar.gz");
        assert_eq!(skill(&target(&reference)), Some(reference));
        for wrong in [
            "a/latest.tar.gz",
            "../1.0.0.tar.gz",
            "a/b/1.0.0.tar.gz",
            "a/1.0.0.zip",
            "revoked.json",
        ] {
            assert_eq!(skill(wrong), None, "{wrong}");
        }
        assert_eq!(stored("a/1.0.0.tar.gz", "ff"), "targets/a/ff.1.0.0.tar.gz");
    }
}
