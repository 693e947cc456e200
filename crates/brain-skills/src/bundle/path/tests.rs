//! What is a path of a file in a skill, and which two cannot be in one.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;

use super::*;

fn refused(path: &str) -> bool {
    path.parse::<CanonicalPath>().is_err()
}

fn together(paths: &[&str]) -> Result<(), Malformed> {
    let mut names = Names::default();
    paths.iter().try_for_each(|path| names.add_file(&path.parse().unwrap()))
}

#[test]
fn plain_paths_of_many_languages_are_read() {
    for path in [
        "run.py",
        "a/b/c.txt",
        ".gitignore",
        "docs/.hidden",
        "größe.txt",
        "данные.txt",
        "データ/表.csv",
        "@scope/it's (1) [x]+~.js",
        &format!("{}/{}", "d".repeat(100), "n".repeat(100)),
    ] {
        assert_eq!(path.parse::<CanonicalPath>().unwrap().as_str(), path);
    }
}

#[test]
fn paths_that_leave_the_directory_or_have_no_one_spelling_are_refused() {
    for path in [
        "",
        "/",
        "/etc/passwd",
        "..",
        "../x",
        "a/../b",
        "a/..",
        ".",
        "./a",
        "a/./b",
        "a//b",
        "a/",
        "a\\b",
        "..\\x",
        "a\0b",
        "a\nb",
        "a\rb",
        "a\tb",
        "a\u{1b}[2J",
        "a\u{7f}",
        "a\u{85}",
        " a",
        "a ",
        "a.",
        "a/ b",
    ] {
        assert!(refused(path), "{path:?}");
    }
    assert!(refused(&"n".repeat(101)));
    assert!(refused(&format!("{}/n", "d/".repeat(16))));
    assert!(refused(&format!("{0}/{0}/{0}", "d".repeat(90))));
    assert!(CanonicalPath::from_bytes(b"a\xff").is_err());
}

#[test]
fn version_control_is_no_part_of_a_skill() {
    for path in [
        ".git/config",
        "x/.git/hooks/post-checkout",
        ".GIT/x",
        ".Git",
        "a/.hg/x",
        ".svn/x",
    ] {
        assert!(refused(path), "{path:?}");
    }
}

#[test]
fn characters_that_deceive_a_reader_are_refused() {
    for path in [
        "a\u{202e}txt.exe",
        "a\u{2066}b",
        "a\u{200f}b",
        "a\u{200b}b",
        "a\u{200d}b",
        "a\u{feff}b",
        "a\u{ad}b",
        "a\u{a0}b",
        "a\u{2028}b",
        "a\u{e0041}b",
        "a\u{2215}b",
        "a\u{ff0f}b",
        "\u{ff4d}ain.py",
        // Decomposed, a compatibility form, and Latin with Cyrillic in one word.
        "a\u{308}.txt",
        "\u{fb01}le",
        "m\u{430}in.py",
        "p\u{430}ypal",
    ] {
        assert!(refused(path), "{path:?}");
    }
}

#[test]
fn names_that_are_one_elsewhere_are_refused_together() {
    for pair in [
        ["a", "a"],
        ["run.py", "Run.py"],
        ["straße", "STRASSE"],
        ["a/x", "A/y"],
        ["a", "a/b"],
        ["a/b", "a"],
        ["σας", "σασ"],
        // Wholly Cyrillic, but it looks like wholly Latin.
        ["сор", "cop"],
        ["cop", "сор"],
    ] {
        assert!(together(&pair).is_err(), "{pair:?}");
    }
    together(&["a/x", "a/y", "a.b", "a-b/c", "l1", "ll", "rn", "m", "größe", "grosse"]).unwrap();
}

proptest! {
    #[test]
    fn any_text_is_refused_or_safe(text in "\\PC{0,40}|[a./\\\\ A-Zß]{0,12}|(\\.\\.?/?|a/|\u{430}){0,8}") {
        if let Ok(path) = text.parse::<CanonicalPath>() {
            prop_assert_eq!(path.as_str(), &text);
            let kept = std::path::Path::new(&text)
                .components()
                .all(|part| matches!(part, std::path::Component::Normal(_)));
            prop_assert!(kept && !text.contains(['\\', '\n', '\0']));
            let (directories, name) = path.split();
            let joined = if directories.is_empty() { name.to_owned() } else { format!("{directories}/{name}") };
            prop_assert_eq!(joined, text.clone());
            prop_assert!(name.len() <= 100 && directories.len() <= 155);
            // Whatever it is called in another case, it cannot stand beside itself.
            let mut names = Names::default();
            prop_assert!(names.add_file(&path).is_ok());
            if let Ok(upper) = text.to_uppercase().parse::<CanonicalPath>() {
                prop_assert!(names.add_file(&upper).is_err());
            }
        }
    }
}
