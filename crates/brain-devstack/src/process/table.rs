//! The system's process table: start times and descendants. `/proc` on Linux, `ps` elsewhere.

use super::identity::Identity;

/// When the process started; none when it does not run (a zombie does not run).
#[cfg(target_os = "linux")]
pub(super) fn start_time(pid: i32) -> Option<String> {
    let (state, _, started) = stat(pid)?;
    if matches!(state.as_str(), "Z" | "X") {
        return None;
    }
    // Start times count from the boot, so they only mean something together with which boot it was.
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Some(format!("{started}@{}", boot.trim()))
}

/// State, parent and start time of a process. The name before them is in brackets and may hold anything.
#[cfg(target_os = "linux")]
fn stat(pid: i32) -> Option<(String, i32, String)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text.get(text.rfind(')')? + 1..)?.split_whitespace().collect();
    Some((
        (*fields.first()?).to_owned(),
        fields.get(1)?.parse().ok()?,
        (*fields.get(19)?).to_owned(),
    ))
}

#[cfg(target_os = "linux")]
fn parents() -> Vec<(i32, i32)> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| stat(pid).map(|(_, parent, _)| (pid, parent)))
        .collect()
}

/// When the process started; none when it does not run (a zombie does not run).
#[cfg(not(target_os = "linux"))]
pub(super) fn start_time(pid: i32) -> Option<String> {
    let text = ps(&["-o", "state=,lstart=", "-p", &pid.to_string()])?;
    let (state, started) = text.trim().split_once(char::is_whitespace)?;
    (!state.starts_with('Z')).then(|| started.trim().to_owned())
}

#[cfg(not(target_os = "linux"))]
fn parents() -> Vec<(i32, i32)> {
    let text = ps(&["-A", "-o", "pid=,ppid="]).unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        })
        .collect()
}

#[cfg(not(target_os = "linux"))]
fn ps(arguments: &[&str]) -> Option<String> {
    let output = std::process::Command::new("ps")
        .args(arguments)
        .env("LC_ALL", "C")
        .output()
        .ok()?;
    String::from_utf8(output.stdout).ok()
}

/// Every process below `ancestor`, children before grandchildren.
pub(super) fn descendants(ancestor: i32) -> Vec<Identity> {
    let parents = parents();
    let mut found = vec![ancestor];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found.into_iter().skip(1).filter_map(Identity::of).collect()
}
