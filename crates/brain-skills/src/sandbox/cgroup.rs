//! Control groups: one for each running program, in every hierarchy that limits something.
//!
//! Invariants: all groups of one brain are below a directory that it keeps locked; a directory that nobody locks belonged to
//! a brain that is gone and is removed at the next start; a group is removed when its value is dropped.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    os::fd::AsFd,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

mod hierarchy;

use hierarchy::{Hierarchy, Kind};

use super::{mechanism::Mechanism, sys};
use crate::launch::Limits;

/// The period over which processor time is shared out, in microseconds.
const PERIOD: u64 = 100_000;
/// How often making a directory is tried while other brains come and go.
const MAX_TRIES: u32 = 100;

/// Where the groups of this brain are.
#[derive(Debug)]
pub(super) struct Groups {
    own: Vec<Own>,
    next: AtomicU64,
}

#[derive(Debug)]
struct Own {
    directory: PathBuf,
    controls: BTreeSet<Mechanism>,
    kind: Kind,
    _lock: File,
}

impl Groups {
    /// Finds the hierarchies and makes a directory for this brain in each; says what cannot be had, and why.
    pub(super) fn open(name: &str) -> (Self, Vec<(Mechanism, String)>) {
        let mut missing = Vec::new();
        let mut own = Vec::new();
        for hierarchy in hierarchy::find(&mut missing) {
            match open(&hierarchy, name) {
                Ok(directory) => own.push(directory),
                Err(error) => {
                    let why = format!("{}: {error}", hierarchy.base.display());
                    missing.extend(hierarchy.controls.iter().map(|control| (*control, why.clone())));
                }
            }
        }
        let next = AtomicU64::new(0);
        (Self { own, next }, missing)
    }

    /// Makes the group of one program, without limits yet.
    pub(super) fn make(self: &Arc<Self>) -> io::Result<Group> {
        let number = self.next.fetch_add(1, Ordering::Relaxed).to_string();
        let mut group = Group {
            groups: Arc::clone(self),
            directories: Vec::new(),
        };
        for own in &self.own {
            let directory = own.directory.join(&number);
            fs::create_dir(&directory)?;
            group.directories.push(directory);
        }
        Ok(group)
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        for own in &self.own {
            remove(&own.directory);
            if let Some(root) = own.directory.parent() {
                // Another brain may be using it; the last one removes it.
                let _used = fs::remove_dir(root);
            }
        }
    }
}

fn open(hierarchy: &Hierarchy, name: &str) -> io::Result<Own> {
    let root = hierarchy.base.join(name);
    hierarchy.prepare(&hierarchy.base, Some(name))?;
    // A brain that starts or stops just now may take what is made here for a leftover, until it is locked.
    let mut tries = 0;
    let (directory, lock) = loop {
        tries += 1;
        match claim(hierarchy, &root) {
            Ok(claimed) => break claimed,
            Err(error)
                if tries < MAX_TRIES && matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::WouldBlock) => {
            }
            Err(error) => return Err(error),
        }
    };
    hierarchy.prepare(&directory, None)?;
    Ok(Own {
        directory,
        controls: hierarchy.controls.clone(),
        kind: hierarchy.kind,
        _lock: lock,
    })
}

/// Makes and locks a directory of this brain, below one that all brains share.
fn claim(hierarchy: &Hierarchy, root: &Path) -> io::Result<(PathBuf, File)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    match fs::create_dir(root) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => hierarchy.prepare(root, None)?,
    }
    remove_leftovers(root);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let directory = root.join(format!("brain-{}-{number}", std::process::id()));
    fs::create_dir(&directory)?;
    let lock = File::open(&directory)?;
    sys::try_lock(lock.as_fd())?;
    fs::metadata(&directory)?;
    Ok((directory, lock))
}

/// Removes the directories of brains that are gone.
fn remove_leftovers(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let path = entry.path();
        let locked = || File::open(&path).and_then(|file| sys::try_lock(file.as_fd()).map(|()| file));
        if path.is_dir() && locked().is_ok() {
            for group in fs::read_dir(&path).into_iter().flatten().flatten() {
                remove(&group.path());
            }
            remove(&path);
        }
    }
}

/// Removes a group, which takes a moment where its last process has only just ended.
fn remove(directory: &Path) {
    for millis in [0, 1, 2, 5, 10, 20, 50, 100, 200, 500] {
        thread::sleep(Duration::from_millis(millis));
        match fs::remove_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
            _ => return,
        }
    }
    tracing::warn!(path = %directory.display(), "a control group could not be removed");
}

fn limit(directory: &Path, kind: Kind, control: Mechanism, limits: &Limits) -> io::Result<()> {
    let write = |file: &str, value: String| fs::write(directory.join(file), value);
    // Not every kernel counts swap; without it there is none to limit.
    let write_if_there = |file: &str, value: String| match write(file, value) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    };
    let memory = limits.memory_bytes.to_string();
    let quota = (u64::from(limits.cpu_millis) * PERIOD / 1000).max(1000);
    // The first process of the namespace is one too, and so is the launcher for a moment.
    let processes = (u64::from(limits.processes) + 2).to_string();
    match (control, kind) {
        (Mechanism::CgroupMemory, Kind::One) => {
            write("memory.limit_in_bytes", memory.clone())?;
            write_if_there("memory.memsw.limit_in_bytes", memory)
        }
        (Mechanism::CgroupMemory, Kind::Two) => {
            write("memory.max", memory)?;
            write_if_there("memory.swap.max", "0".into())?;
            write_if_there("memory.oom.group", "1".into())
        }
        (Mechanism::CgroupPids, _) => write("pids.max", processes),
        (Mechanism::CgroupCpu, Kind::One) => {
            write("cpu.cfs_period_us", PERIOD.to_string())?;
            write("cpu.cfs_quota_us", quota.to_string())
        }
        (Mechanism::CgroupCpu, Kind::Two) => write("cpu.max", format!("{quota} {PERIOD}")),
        _ => Ok(()),
    }
}

/// The group of one program.
#[derive(Debug)]
pub(super) struct Group {
    groups: Arc<Groups>,
    /// In the order of the directories of the brain.
    directories: Vec<PathBuf>,
}

impl Group {
    /// What a process joins.
    pub(super) fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    /// Sets what its processes may use.
    pub(super) fn limit(&self, limits: &Limits) -> io::Result<()> {
        for (own, directory) in self.groups.own.iter().zip(&self.directories) {
            for control in &own.controls {
                limit(directory, own.kind, *control, limits)?;
            }
        }
        Ok(())
    }

    /// Where its memory is counted.
    fn memory(&self) -> Option<(&Path, Kind)> {
        let mut all = self.groups.own.iter().zip(&self.directories);
        let (own, directory) = all.find(|(own, _)| own.controls.contains(&Mechanism::CgroupMemory))?;
        Some((directory, own.kind))
    }

    /// The memory that its processes hold.
    pub(super) fn memory_bytes(&self) -> Option<u64> {
        let (directory, kind) = self.memory()?;
        let file = match kind {
            Kind::One => "memory.usage_in_bytes",
            Kind::Two => "memory.current",
        };
        fs::read_to_string(directory.join(file)).ok()?.trim().parse().ok()
    }

    /// Whether the kernel killed any of its processes for want of memory.
    pub(super) fn ran_out_of_memory(&self) -> bool {
        let Some((directory, kind)) = self.memory() else {
            return false;
        };
        let file = match kind {
            Kind::One => "memory.oom_control",
            Kind::Two => "memory.events",
        };
        let text = fs::read_to_string(directory.join(file)).unwrap_or_default();
        killed(&text) > 0
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for directory in &self.directories {
            remove(directory);
        }
    }
}

/// How many were killed, according to the lines of `memory.oom_control` or `memory.events`.
fn killed(text: &str) -> u64 {
    let counts = text.lines().filter_map(|line| line.strip_prefix("oom_kill "));
    counts.filter_map(|count| count.trim().parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_are_counted_in_both_versions() {
        assert_eq!(killed("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"), 2);
        assert_eq!(killed("low 0\nhigh 0\nmax 7\noom 1\noom_kill 1\noom_group_kill 0\n"), 1);
        assert_eq!(killed(""), 0);
    }
}
