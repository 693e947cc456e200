//! Links between Markdown files: every relative link leads to a file of the repository, and every anchor to a heading.
//!
//! Links to other sites are not followed; code is not prose, so code blocks and code spans are left out.

use std::collections::{BTreeMap, BTreeSet};

use super::{Files, Finding};

/// Every link of every Markdown file that leads nowhere.
pub(super) fn findings(files: &Files) -> Vec<Finding> {
    let anchors: BTreeMap<&str, BTreeSet<String>> = files
        .iter()
        .filter(|(path, _)| path.ends_with(".md"))
        .filter_map(|(path, text)| Some((path.as_str(), anchors(text.as_ref()?))))
        .collect();
    let mut findings = Vec::new();
    for (path, text) in files.iter().filter(|(path, _)| path.ends_with(".md")) {
        for (index, line) in prose_lines(text.as_deref().unwrap_or_default()) {
            for target in targets(&line) {
                if let Some(message) = broken(path, &target, files, &anchors) {
                    findings.push(Finding::line(path, index, message));
                }
            }
        }
    }
    findings
}

/// Why a link leads nowhere, or `None` where it is fine.
fn broken(from: &str, target: &str, files: &Files, anchors: &BTreeMap<&str, BTreeSet<String>>) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() {
        Some(from.to_owned())
    } else {
        resolve(from, file)
    };
    let Some(path) = path else {
        return Some(format!("the link `{target}` leaves the repository"));
    };
    let is_directory = || files.keys().any(|file| file.starts_with(&format!("{path}/")));
    if !files.contains_key(&path) && !is_directory() {
        return Some(format!("the link `{target}` leads to {path}, which does not exist"));
    }
    if !anchor.is_empty() && anchors.get(path.as_str()).is_some_and(|known| !known.contains(anchor)) {
        return Some(format!(
            "the link `{target}` leads to a heading that {path} does not have"
        ));
    }
    None
}

/// The path of `target` as seen from the file `from`; `None` where it leaves the repository.
fn resolve(from: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = match target.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => from
            .split('/')
            .rev()
            .skip(1)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect(),
    };
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The lines outside code blocks, with code spans blanked; indexes count from 0.
fn prose_lines(text: &str) -> Vec<(usize, String)> {
    let mut in_code = false;
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let fence = line.trim_start();
        if fence.starts_with("```") || fence.starts_with("~~~") {
            in_code = !in_code;
        } else if !in_code {
            lines.push((index, line.split('`').step_by(2).collect::<Vec<_>>().join(" ")));
        }
    }
    lines
}

/// The targets of `[text](target)`, `[text](target "title")` and `[label]: target` in a line.
fn targets(line: &str) -> Vec<String> {
    let inline = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let reference = line
        .trim_start()
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("]: "))
        .map(|(_, rest)| rest);
    inline
        .chain(reference)
        .filter_map(|target| target.split_whitespace().next())
        .map(|target| target.trim_matches(['<', '>']).to_owned())
        .collect()
}

/// The anchors that a renderer gives to the headings of a file.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code || !line.starts_with('#') {
            continue;
        }
        let slug = slug(line.trim_start_matches('#').trim());
        // The second heading of the same text gets a number.
        let mut candidate = slug.clone();
        let mut number = 0;
        while !anchors.insert(candidate.clone()) {
            number += 1;
            candidate = format!("{slug}-{number}");
        }
    }
    anchors
}

fn slug(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(files: &[(&str, &str)]) -> String {
        let files: Files = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), Some((*text).to_owned())))
            .collect();
        findings(&files)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn links_that_lead_somewhere_pass() {
        let readme = "[a](docs/A.md) [b](docs/A.md#two-words) [c](docs) [d](https://example.org/x) [e](#top)\n# Top\n";
        let a = "# A\n## Two `words`!\n[up](../README.md \"title\") [same](./A.md)\n\n[ref]: ../README.md\n";
        assert_eq!(report(&[("README.md", readme), ("docs/A.md", a)]), "");
    }

    #[test]
    fn links_that_lead_nowhere_are_named() {
        insta::assert_snapshot!(
            report(&[
                ("README.md", "# Top\n\n[a](docs/B.md)\n[b](docs/A.md#three)\n[c](../secret.md)\n"),
                ("docs/A.md", "# A\n[x]: Missing.md\n[y](#b)\n"),
            ]),
            @r"
        README.md:3: the link `docs/B.md` leads to docs/B.md, which does not exist
        README.md:4: the link `docs/A.md#three` leads to a heading that docs/A.md does not have
        README.md:5: the link `../secret.md` leaves the repository
        docs/A.md:2: the link `Missing.md` leads to docs/Missing.md, which does not exist
        docs/A.md:3: the link `#b` leads to a heading that docs/A.md does not have
        "
        );
    }

    #[test]
    fn code_is_not_prose() {
        assert_eq!(
            report(&[("a.md", "```\n[a](b.md)\n# no heading\n```\nuse `[a](b.md)` so\n")]),
            ""
        );
    }

    #[test]
    fn equal_headings_get_numbers() {
        assert_eq!(
            report(&[("a.md", "# One\n# One\n[first](#one) [second](#one-1)\n")]),
            ""
        );
    }
}
