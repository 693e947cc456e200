//! Where control groups can be made: the hierarchies of version 1, and the one of version 2.
//!
//! Invariants: each control is in one hierarchy; in version 2 only what was delegated to this process is touched.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use crate::sandbox::mechanism::Mechanism;

/// The controls that are used, and their names in the kernel.
const CONTROLS: [(Mechanism, &str); 3] = [
    (Mechanism::CgroupMemory, "memory"),
    (Mechanism::CgroupPids, "pids"),
    (Mechanism::CgroupCpu, "cpu"),
];

/// The version of a hierarchy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Each control may have its own.
    One,
    /// One for all.
    Two,
}

/// A hierarchy, as far as it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hierarchy {
    /// Below what groups are made.
    pub(super) base: PathBuf,
    /// What it limits.
    pub(super) controls: BTreeSet<Mechanism>,
    /// Its version.
    pub(super) kind: Kind,
}

impl Hierarchy {
    /// Lets the groups below a directory use the controls.
    pub(super) fn prepare(&self, directory: &Path, leaf: Option<&str>) -> io::Result<()> {
        if self.kind == Kind::One {
            return Ok(());
        }
        let names = CONTROLS.iter().filter(|(control, _)| self.controls.contains(control));
        let enable: Vec<String> = names.map(|(_, name)| format!("+{name}")).collect();
        let enable = || fs::write(directory.join("cgroup.subtree_control"), enable.join(" "));
        match (enable(), leaf) {
            // A group with processes of its own cannot hand controls on: they move into a leaf beside ours.
            (Err(error), Some(name)) if error.kind() == io::ErrorKind::ResourceBusy => {
                let leaf = directory.join(format!("{name}-host"));
                if let Err(error) = fs::create_dir(&leaf)
                    && error.kind() != io::ErrorKind::AlreadyExists
                {
                    return Err(error);
                }
                for pid in fs::read_to_string(directory.join("cgroup.procs"))?.lines() {
                    fs::write(leaf.join("cgroup.procs"), pid)?;
                }
                enable()
            }
            (result, _) => result,
        }
    }
}

/// Finds the hierarchy of each control, and says which controls have none.
pub(super) fn find(missing: &mut Vec<(Mechanism, String)>) -> Vec<Hierarchy> {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let two = version_two(&mounts, &own);
    let offered = two
        .as_ref()
        .and_then(|base| fs::read_to_string(base.join("cgroup.controllers")).ok());
    assign(&mounts, two.as_deref(), &offered.unwrap_or_default(), missing)
}

fn assign(mounts: &str, two: Option<&Path>, offered: &str, missing: &mut Vec<(Mechanism, String)>) -> Vec<Hierarchy> {
    let mut all: Vec<Hierarchy> = Vec::new();
    for (control, name) in CONTROLS {
        let (base, kind) = match (version_one(mounts, name), two) {
            (Some(base), _) => (base, Kind::One),
            (None, Some(base)) if offered.split_whitespace().any(|word| word == name) => {
                (base.to_path_buf(), Kind::Two)
            }
            _ => {
                missing.push((control, format!("no control group offers {name} to this process")));
                continue;
            }
        };
        if let Some(known) = all.iter_mut().find(|known| known.base == base) {
            known.controls.insert(control);
        } else {
            let controls = BTreeSet::from([control]);
            all.push(Hierarchy { base, controls, kind });
        }
    }
    all
}

/// The fields of each line of the table of mounts: where, what kind, which options.
fn fields(mounts: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    mounts.lines().filter_map(|line| {
        let mut words = line.split(' ');
        Some((words.nth(1)?, words.next()?, words.next()?))
    })
}

fn version_one(mounts: &str, name: &str) -> Option<PathBuf> {
    let offers = |options: &str| options.split(',').any(|option| option == name);
    let mut found = fields(mounts).filter(|(_, kind, options)| *kind == "cgroup" && offers(options));
    found.next().map(|(place, ..)| PathBuf::from(place))
}

/// The group of version 2 that this process is in.
fn version_two(mounts: &str, own: &str) -> Option<PathBuf> {
    let (place, ..) = fields(mounts).find(|(_, kind, _)| *kind == "cgroup2")?;
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    // Outside of what is mounted here there is nothing that could be used.
    let own = if own.split('/').any(|part| part == "..") {
        ""
    } else {
        own
    };
    Some(Path::new(place).join(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n\
                       cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0\n\
                       cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
    const TWO: &str = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n";

    #[test]
    fn each_control_is_found_where_it_is() {
        let mut missing = Vec::new();
        let two = version_two(ONE, "4:memory:/x\n0::/\n");
        let found = assign(ONE, two.as_deref(), "hugetlb", &mut missing);
        let places: Vec<_> = found.iter().map(|one| (one.base.to_str(), one.kind)).collect();
        let expected = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup/cpu,cpuacct"].map(|place| (Some(place), Kind::One));
        assert_eq!(places, expected);
        assert_eq!(missing.len(), 1);
        assert_eq!(missing[0].0, Mechanism::CgroupPids);
    }

    #[test]
    fn version_two_is_used_below_the_group_of_this_process() {
        let two = version_two(TWO, "0::/user.slice/brain.service\n");
        assert_eq!(
            two.as_deref(),
            Some(Path::new("/sys/fs/cgroup/user.slice/brain.service"))
        );
        let mut missing = Vec::new();
        let found = assign(TWO, two.as_deref(), "cpu io memory pids", &mut missing);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].controls.len(), 3);
        assert!(missing.is_empty());
        let outside = version_two(TWO, "0::/../other\n");
        assert_eq!(outside.as_deref(), Some(Path::new("/sys/fs/cgroup/")));
    }
}
