//! Finds what belongs to one machine: home directories, work directories, and host names of package indexes.
//!
//! The patterns are put together from pieces, so that this file passes its own check.

use super::Finding;

/// How an absolute path starts that exists on the machine of whoever wrote the line, between the slashes. The home of
/// root is on every machine, but what is hidden in it is somebody's own.
const DIRECTORIES: [(&str, &str); 4] = [("home", ""), ("Users", ""), ("work", ""), ("root", ".")];

/// Hosts that packages come from. A package manager knows them; a tracked file that names one pins a mirror.
const INDEX_HOSTS: [&[&str]; 5] = [
    &["pypi", ".org"],
    &["pythonhosted", ".org"],
    &["index.", "crates", ".io"],
    &["static.", "crates", ".io"],
    &["registry.", "npm", "js.org"],
];

/// Every line of `text` that names such a thing.
pub(super) fn findings(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for directory in DIRECTORIES.map(|(name, hidden)| format!("/{name}/{hidden}")) {
            if names_directory(line, &directory) {
                findings.push(Finding::line(
                    path,
                    index,
                    format!("`{directory}` exists on one machine only"),
                ));
            }
        }
        for host in INDEX_HOSTS.map(<[&str]>::concat) {
            if line.contains(&host) {
                let message = format!("`{host}` is a package index; the package manager knows where packages are");
                findings.push(Finding::line(path, index, message));
            }
        }
    }
    findings
}

/// Whether `line` has an absolute path that starts with `directory`, and not merely the same word within a longer path
/// or URL.
fn names_directory(line: &str, directory: &str) -> bool {
    line.match_indices(directory).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + directory.len()..].chars().next();
        let starts_path =
            before.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '.' | '-' | '_' | '/' | '}' | '~'));
        starts_path && after.is_some_and(|c| c.is_alphanumeric() || c == '.' || c == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::findings;

    fn lines(text: &str) -> Vec<usize> {
        findings("a.md", text)
            .into_iter()
            .filter_map(|finding| finding.line)
            .collect()
    }

    #[test]
    fn absolute_paths_of_a_machine_are_found() {
        let [home, root, work] = ["home", "root", "work"].map(|directory| format!("/{directory}/"));
        assert_eq!(
            lines(&format!("see {home}anna/x\n`{root}.cargo`\n\"{work}target\"")),
            [1, 2, 3]
        );
    }

    #[test]
    fn words_within_longer_paths_are_not() {
        let [home, work, root] = ["home", "work", "root"].map(|directory| format!("/{directory}/"));
        assert_eq!(
            lines(&format!(
                "example.org{home}x\nsrc{work}item\n${{TOP}}{home}a\n{work} alone\n{root}project"
            )),
            [0_usize; 0]
        );
    }

    #[test]
    fn package_indexes_are_found() {
        let host = ["files.python", "hosted.org"].concat();
        assert_eq!(lines(&format!("a\nhttps://{host}/x\n")), [2]);
    }
}
